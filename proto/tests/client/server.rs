//! A server that answers as it is told to, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use headscale_client::HttpClient;
use headscale_keys::ApiKey;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The method and the path.
    pub(crate) line: String,
    /// In lower case, but for the values.
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter().filter_map(|header| header.split_once(": "));
        headers.find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these bytes, then hang up.
    SendAndClose(Vec<u8>),
    /// Hang up.
    Close,
    /// Never answer.
    Never,
}

/// An answer with a body.
pub(crate) fn answer(status: u16, content_type: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    Reply::Send(format!("{head}{body}").into_bytes())
}

pub(crate) fn json(body: &str) -> Reply {
    answer(200, "application/json", body)
}

/// A server on loopback.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// One that replies to each request as `reply` says.
    pub(crate) async fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (reply, all) = (Arc::new(reply), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, Arc::clone(&reply), Arc::clone(&all)));
            }
        });
        Self { url, seen, task }
    }

    /// One that always replies the same.
    pub(crate) async fn with(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").clone()
    }

    pub(crate) fn client(&self) -> HttpClient {
        HttpClient::builder(&self.url).api_key(key()).build().expect("a client")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers what comes over a connection until one end hangs up.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    reply: Arc<impl Fn(&Request) -> Reply>,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let reply = reply(&request);
        seen.lock().expect("no panic").push(request);
        match reply {
            Reply::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Reply::SendAndClose(bytes) => {
                // Who asked may have gone.
                drop(stream.write_all(&bytes).await);
                drop(stream.shutdown().await);
                return;
            }
            Reply::Close => return,
            Reply::Never => std::future::pending().await,
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Request> {
    let mut request = Request::default();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if request.line.is_empty() {
            line.trim_end_matches(" HTTP/1.1").clone_into(&mut request.line);
        } else {
            request.headers.push(line.to_owned());
        }
    }
    let length = request.header("content-length").map_or(0, |text| text.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).expect("text");
    Some(request)
}

/// A key as Headscale makes them.
pub(crate) fn key() -> ApiKey {
    let text = format!("hskey-api-{}-{}", "-A_PGBw4kQ2x", "s".repeat(64));
    ApiKey::parse(&text).expect("a key")
}
