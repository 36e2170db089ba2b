//! An HTTP proxy for tests that counts the requests of all its listeners, and does harm at the
//! n-th: for proving that a program survives being killed, or being cut off, at every step.

#![forbid(unsafe_code)]

mod body;
mod fault;
mod forward;
mod harm;
mod late;
mod listener;
mod proxy;
mod upstream;

pub use fault::{Answer, Fault, RequestInfo, When};
pub use late::{Late, Release};
pub use listener::Protocol;
pub use proxy::Proxy;
pub use upstream::Upstream;
