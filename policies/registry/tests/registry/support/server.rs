//! An HTTP server that misbehaves as it is told: it answers each request by a function, on a
//! connection of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use headscale_policy_registry::OciReference;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// After the body.
    Complete,
    /// After the first half of the body.
    Early,
    /// Never, while the client waits.
    Never,
    /// Never: the body is repeated until the client has enough.
    Endless,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

impl Response {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), end: End::Complete }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

/// A running server; it answers until the test's process ends.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    seen.lock().expect("no test panicked here").push(request.clone());
                    // The client may hang up before it has all.
                    drop(write(&stream, &request, &answer(&request)));
                });
            }
        });
        Self { address, requests }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn registry(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn reference(&self, rest: &str) -> OciReference {
        format!("oci://{}/{rest}", self.address).parse().expect("a reference")
    }

    /// All requests so far as `METHOD PATH`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.requests().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panicked here").clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn write(mut stream: &TcpStream, request: &Request, response: &Response) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {} Told\r\nConnection: close\r\n", response.status)?;
    for (name, value) in &response.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    match response.end {
        End::Complete | End::Early => {
            write!(stream, "Content-Length: {}\r\n\r\n", response.body.len())?;
        }
        End::Never | End::Endless => write!(stream, "\r\n")?,
    }
    if request.method == "HEAD" {
        return Ok(());
    }
    let (half, rest) = response.body.split_at(response.body.len() / 2);
    stream.write_all(half)?;
    if response.end == End::Early {
        return Ok(());
    }
    stream.write_all(rest)?;
    match response.end {
        End::Complete | End::Early => Ok(()),
        // Until the client hangs up.
        End::Never => stream.read(&mut [0]).map(drop),
        End::Endless => loop {
            stream.write_all(&response.body)?;
        },
    }
}
