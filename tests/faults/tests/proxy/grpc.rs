//! gRPC passes through the proxy, trailers and all, and can be harmed there.

use std::path::PathBuf;
use std::time::Duration;

use headscale_client::{ApiKeys as _, ErrorKind, SocketClient, SocketTransport};
use headscale_faults::{Fault, Protocol, Proxy, Upstream, When};
use headscale_standin::{Options, StandIn, Version};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

struct Server {
    stand_in: StandIn,
    proxy: Proxy,
    client: SocketClient,
    _folder: TempDir,
}

/// A Headscale that speaks gRPC on its socket, a proxy before it, and a client.
async fn server() -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    let (behind, before): (PathBuf, PathBuf) =
        (folder.path().join("behind"), folder.path().join("before"));
    let options = Options::new(Version::V0_29, folder.path().join("data")).on_socket(&behind);
    let stand_in = StandIn::start(options).await.expect("it starts");
    let proxy = Proxy::new();
    proxy.listen_unix(&before, Upstream::Unix(behind), Protocol::Http2).await;
    let client = SocketClient::new(before, Duration::from_secs(10));
    Server { stand_in, proxy, client, _folder: folder }
}

fn tomorrow() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24)
}

#[tokio::test]
async fn calls_and_their_errors_pass() {
    let server = server().await;
    assert_eq!(server.client.transport().await.expect("found"), SocketTransport::Grpc);
    let key = server.client.create_api_key(tomorrow()).await.expect("a key");
    assert_eq!(server.stand_in.api_keys().len(), 1);
    assert_eq!(server.client.list_api_keys().await.expect("keys").len(), 1);
    drop(key);
    let paths: Vec<_> = server.proxy.requests().into_iter().map(|info| info.path).collect();
    assert!(paths.contains(&"/headscale.v1.HeadscaleService/CreateApiKey".to_owned()), "{paths:?}");
}

#[tokio::test]
async fn a_call_can_be_lost_before_and_after_it_is_done() {
    let server = server().await;
    server.client.transport().await.expect("found");
    server.proxy.reset();
    server.proxy.fault_at(1, When::Before.into());
    server.proxy.fault_at(2, When::After.into());
    for made in [0, 1] {
        let error = server.client.create_api_key(tomorrow()).await.expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(server.stand_in.api_keys().len(), made);
    }
    server.client.create_api_key(tomorrow()).await.expect("a key");
    assert_eq!(server.stand_in.api_keys().len(), 2);
}

#[tokio::test]
async fn a_call_can_arrive_after_its_client_gave_up() {
    let server = server().await;
    server.client.transport().await.expect("found");
    server.proxy.reset();
    let (fault, release) = Fault::late();
    server.proxy.fault_at(1, fault);
    server.client.create_api_key(tomorrow()).await.expect_err("cut");
    assert_eq!(server.stand_in.api_keys().len(), 0);
    assert_eq!(release.forward().await, Some(200));
    assert_eq!(server.stand_in.api_keys().len(), 1);
}
