//! A real etcd and kube-apiserver on loopback, ready in seconds, with RBAC on: tests run under the
//! roles that are shipped. There is no controller manager: nothing collects garbage, deletes what
//! is in a namespace, or starts pods; a [`Kubelet`] forwards ports of pods that a test makes.

#![forbid(unsafe_code)]

mod access;
mod certificates;
mod control_plane;
mod kubelet;
mod kubelet_port_forward;
mod logs;
mod port;
mod watchdog;

pub use control_plane::ControlPlane;
pub use kubelet::Kubelet;
