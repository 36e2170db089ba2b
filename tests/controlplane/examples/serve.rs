//! Serves a control plane until standard input ends, for people and scripts.
//!
//! `serve DIRECTORY` writes a kubeconfig that may do everything into the directory, whose namespace
//! is a new one that takes only `restricted` pods, and prints the file's path when the API server is
//! ready. All is gone with the process.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use headscale_controlplane::ControlPlane;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: serve DIRECTORY");
        return ExitCode::from(2);
    };
    let Some(plane) = ControlPlane::start().await else {
        eprintln!("serve: `tests/tools/build etcd kube-apiserver` builds what is missing");
        return ExitCode::FAILURE;
    };
    let namespaces: Api<Namespace> = Api::all(plane.client());
    let namespace = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "headscale",
            "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
        },
    });
    namespaces
        .patch("headscale", &PatchParams::apply("serve"), &Patch::Apply(namespace))
        .await
        .expect("a namespace");
    let kubeconfig = plane.kubeconfig(&directory, plane.admin_token(), "headscale", None);
    println!("{}", kubeconfig.display());
    let mut rest = Vec::new();
    // Whether it ends or cannot be read, there is nobody left to serve.
    std::io::stdin().read_to_end(&mut rest).ok();
    ExitCode::SUCCESS
}
