//! A real etcd and kube-apiserver on loopback, ready in seconds, with RBAC on: tests run under the
//! roles that are shipped. Garbage is collected, namespaces end and StatefulSets have pods where a
//! test [starts the controller manager](ControlPlane::start_controller_manager). Nothing starts
//! pods: a [`Kubelet`] forwards ports of those that a test makes, and the crate `headscale-player`
//! plays them.

#![forbid(unsafe_code)]

mod access;
mod certificates;
mod control_plane;
mod kubelet;
mod kubelet_port_forward;
mod logs;
mod port;
mod process;

pub use control_plane::ControlPlane;
pub use kubelet::Kubelet;
pub use process::Process;
