//! As much of an HTTP client as asking for a page takes.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The status and the text of a page; status 0 where nobody answers.
pub(crate) async fn get(address: String, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(&address).await else {
        return (0, String::new());
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let text = answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned());
    (status.unwrap_or(0), text.unwrap_or_default())
}
