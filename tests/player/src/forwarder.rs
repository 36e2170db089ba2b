//! An address that leads to whatever is behind it now.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// A listener on a free port; it takes connections from now on.
pub(crate) fn bind() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Leads connections to where `leads` says, and closes them where that is nowhere.
pub(crate) async fn serve(listener: std::net::TcpListener, leads: impl Fn() -> Option<SocketAddr>) {
    let listener = TcpListener::from_std(listener).expect("a listener of the runtime");
    while let Ok((mut client, _)) = listener.accept().await {
        let Some(address) = leads() else { continue };
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(address).await else { return };
            // Answers are small and waited for.
            drop((client.set_nodelay(true), server.set_nodelay(true)));
            // However it ends, it has ended.
            drop(copy_bidirectional(&mut client, &mut server).await);
        });
    }
}
