//! A real etcd and kube-apiserver on loopback, ready in seconds, with RBAC on: tests run under the
//! roles that are shipped. There is no controller manager: nothing collects garbage, deletes what
//! is in a namespace, or starts pods.

#![forbid(unsafe_code)]

mod access;
mod certificates;
mod control_plane;
mod logs;
mod port;
mod watchdog;

pub use control_plane::ControlPlane;
