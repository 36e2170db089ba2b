//! Ports that stay one's own.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that nothing else gets, whether a server is running on it or not. The server
/// must be told to share it (`SO_REUSEPORT`); connections are refused until it listens.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    // Bound and never listening: it keeps the number, and takes no connection.
    _socket: TcpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseport(true).expect("a port can be shared");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let number = socket.local_addr().expect("bound").port();
        Self { number, _socket: socket }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
