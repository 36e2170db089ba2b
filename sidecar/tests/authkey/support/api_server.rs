//! One Secret `ns/proxy-0` behind as much of an API server as it takes, where things go wrong as
//! told. What a real one does is tested with a real one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::http::{Request, serve};

const PATH: &str = "/api/v1/namespaces/ns/secrets/proxy-0";

#[derive(Clone)]
pub(crate) struct ApiServer {
    inner: Arc<Mutex<Inner>>,
    url: String,
}

#[derive(Default)]
struct Inner {
    data: Option<BTreeMap<String, String>>,
    version: u64,
    refusals: VecDeque<u16>,
    overtakers: VecDeque<(String, String)>,
    /// Verb, query and whether it had a precondition.
    patches: Vec<(String, bool)>,
}

impl ApiServer {
    /// With the Secret, or without.
    pub(crate) fn new(data: Option<&[(&str, &str)]>) -> Self {
        let data = data.map(|data| {
            data.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        });
        let inner = Arc::new(Mutex::new(Inner { data, version: 1, ..Inner::default() }));
        let url = serve({
            let inner = Arc::clone(&inner);
            move |request| handle(&mut inner.lock().expect("not poisoned"), request)
        });
        Self { inner, url }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(self.url.parse().expect("a URL"));
        "ns".clone_into(&mut config.default_namespace);
        kube::Client::try_from(config).expect("a client")
    }

    /// Answers the next requests with these statuses.
    pub(crate) fn refuse(&self, statuses: &[u16]) {
        self.lock().refusals.extend(statuses);
    }

    /// Somebody else sets this field right before the next write.
    pub(crate) fn overtake(&self, name: &str, value: &str) {
        self.lock().overtakers.push_back((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.lock().data.as_ref()?.get(name).cloned()
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        let mut inner = self.lock();
        inner.version += 1;
        inner.data.get_or_insert_default().insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().data.as_ref().map(|data| data.keys().cloned().collect()).unwrap_or_default()
    }

    /// The query of each write, and whether it had a precondition.
    pub(crate) fn patches(&self) -> Vec<(String, bool)> {
        self.lock().patches.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("not poisoned")
    }
}

fn status(code: u16, reason: &str) -> (u16, String) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": reason, "code": code,
    });
    (code, status.to_string())
}

fn handle(inner: &mut Inner, request: &Request) -> (u16, String) {
    if let Some(code) = inner.refusals.pop_front() {
        return status(code, "as told");
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path != PATH || inner.data.is_none() {
        return status(404, "NotFound");
    }
    match request.method.as_str() {
        "GET" => (200, secret(inner, "Secret").to_string()),
        "PATCH" => patch(inner, request, query),
        _ => status(405, "MethodNotAllowed"),
    }
}

fn patch(inner: &mut Inner, request: &Request, query: &str) -> (u16, String) {
    assert_eq!(request.content_type, "application/strategic-merge-patch+json");
    let body: Value = serde_json::from_slice(&request.body).expect("a body");
    if let Some((name, value)) = inner.overtakers.pop_front() {
        inner.version += 1;
        inner.data.get_or_insert_default().insert(name, value);
    }
    let precondition = body.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    inner.patches.push((query.to_owned(), precondition.is_some()));
    if precondition.is_some_and(|version| version != inner.version.to_string()) {
        return status(409, "Conflict");
    }
    let data = inner.data.get_or_insert_default();
    for (name, value) in body.get("data").and_then(Value::as_object).expect("data") {
        match value {
            Value::Null => drop(data.remove(name)),
            value => {
                let bytes: ByteString = serde_json::from_value(value.clone()).expect("base64");
                let text = String::from_utf8(bytes.0).expect("text");
                data.insert(name.clone(), text);
            }
        }
    }
    inner.version += 1;
    (200, secret(inner, "PartialObjectMetadata").to_string())
}

fn secret(inner: &Inner, kind: &str) -> Value {
    let version = if kind == "Secret" { "v1" } else { "meta.k8s.io/v1" };
    let data: BTreeMap<&str, ByteString> = inner
        .data
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), ByteString(value.as_bytes().to_vec())))
        .collect();
    let mut secret = json!({
        "kind": kind, "apiVersion": version,
        "metadata": {
            "name": "proxy-0", "namespace": "ns", "resourceVersion": inner.version.to_string(),
        },
    });
    if kind == "Secret" {
        secret["data"] = json!(data);
    }
    secret
}
