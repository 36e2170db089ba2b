//! The proxy stands before a kube-apiserver with TLS, and does not hold watches back.

use bytes::Bytes;
use headscale_controlplane::ControlPlane;
use headscale_faults::{Proxy, Upstream, When};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use crate::support::Connection;

fn request(plane: &ControlPlane, method: &str, path: &str, body: String) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "proxy")
        .header("authorization", format!("Bearer {}", plane.admin_token()))
        .header("content-type", "application/json")
        .body(Full::from(body))
        .expect("a request")
}

/// The next piece of a watch's answer, once it is there.
async fn event(watch: &mut Incoming) -> String {
    let frame = watch.frame().await.expect("no end").expect("no error");
    String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text")
}

#[tokio::test]
async fn watches_stream_through_tls() {
    let Some(plane) = ControlPlane::shared().await else { return };
    let proxy = Proxy::new();
    let addr = plane.url().trim_start_matches("https://").parse().expect("an address");
    let address = proxy
        .listen_tcp(Upstream::Tls {
            addr,
            ca_pem: plane.ca_pem().to_owned(),
            server_name: "127.0.0.1".to_owned(),
        })
        .await;
    let namespace = plane.namespace().await;
    let maps = format!("/api/v1/namespaces/{namespace}/configmaps");

    let mut watching = Connection::to(address).await.expect("it listens");
    let asked = request(plane, "GET", &format!("{maps}?watch=true"), String::new());
    let mut watch = watching.open(asked).await.expect("an answer").into_body();
    let mut writing = Connection::to(address).await.expect("it listens");
    for name in ["first", "second"] {
        let map = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        let made = writing.open(request(plane, "POST", &maps, map)).await.expect("an answer");
        assert_eq!(made.status(), 201);
        drop(made.into_body().collect().await.expect("a body"));
        let event = event(&mut watch).await;
        assert!(event.contains(r#""type":"ADDED""#) && event.contains(name), "{event}");
    }

    // A watch has no end to wait for.
    proxy.at(4, When::After, |_| {});
    let asked = request(plane, "GET", &format!("{maps}?watch=true"), String::new());
    let mut cut = Connection::to(address).await.expect("it listens");
    cut.open(asked).await.expect_err("cut");
}
