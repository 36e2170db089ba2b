//! Live instances: how one is reached, and what it is asked.
//!
//! An instance in the cluster is reached through the API server, by a port that is forwarded to one
//! of its pods, with the API key of its Secret; one elsewhere by its address. A command flattens
//! [`InstanceArgs`] or, where it is always about an instance of the cluster, makes one for a
//! [`Target`], and reads with [`read`] all that it needs in one go.

mod args;
mod connector;
mod direct;
mod error;
mod key;
mod live;
mod pod;
mod port_forward;
mod redact;
mod tailnet;

pub(crate) use args::{ElsewhereArgs, InstanceArgs, Target};
pub(crate) use error::at_server;
pub(crate) use live::{Want, read};
pub(crate) use redact::redact;
