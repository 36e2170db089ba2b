//! The program: it says when it is ready, and ends when it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn it_tells_where_it_listens_and_removes_its_socket_at_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("hs.sock");
    let mut child = Command::new(env!("CARGO_BIN_EXE_headscale-standin"))
        .args(["--version-of", "0.30", "--listen", "127.0.0.1:0", "--policy-mode", "database"])
        .arg("--dir")
        .arg(directory.path())
        .arg("--socket")
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["socket"], socket.to_str().unwrap());

    let mut stream = TcpStream::connect(ready["address"].as_str().unwrap()).unwrap();
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"version\":\"v0.30.0-dev\""), "{answer}");

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!socket.exists());
}
