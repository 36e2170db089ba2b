//! A web server on the loopback interface, because krew takes no `file://`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// Serves the files of `dir`, and no folder below it, until the test program ends. Gives what
/// stands before their names in their addresses.
pub(crate) fn serve(dir: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that went away has its answer.
            answer(&stream, &dir).ok();
        }
    });
    format!("http://{address}/")
}

/// Reads one request and answers it.
fn answer(mut stream: &TcpStream, dir: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The answer to a request that was not read whole is lost.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let name = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next());
    let file = name.filter(|name| !name.contains('/')).and_then(|name| {
        // What is missing is not there yet: the test says so by what krew does then.
        fs::read(dir.join(name)).ok()
    });
    let status = if file.is_some() { "200 OK" } else { "404 Not Found" };
    let body = file.unwrap_or_default();
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&body)
}
