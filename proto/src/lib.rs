//! A client of Headscale 0.28, 0.29 and 0.30.
//!
//! ```no_run
//! use headscale_client::{ApiKeys as _, HeadscaleApi as _, HttpClient, NewPreAuthKey};
//! use headscale_keys::ApiKey;
//! use jiff::{SignedDuration, Timestamp};
//!
//! # async fn run(key: ApiKey) -> Result<(), Box<dyn std::error::Error>> {
//! let headscale = HttpClient::builder("https://headscale.example").api_key(key).build()?;
//! println!("Headscale {}", headscale.version().await?);
//! for node in headscale.list_nodes(None).await? {
//!     println!("{} {:?}", node.given_name, node.ip_addresses);
//! }
//!
//! let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
//! let key = NewPreAuthKey::tagged(["tag:web"], tomorrow);
//! let made = headscale.create_preauth_key(&key).await?;
//! println!("key {} until {tomorrow}", made.details.id);
//! # Ok(())
//! # }
//! ```
//!
//! [`HttpClient`] speaks HTTP, which every version answers at its `listen_addr`, to whoever has an
//! API key. [`SocketClient`] speaks to the Unix socket of a Headscale beside it, which asks for no
//! key: gRPC up to 0.29 and HTTP from 0.30, so it does what both have, the calls about API keys.
//! What can be asked is [`HeadscaleApi`] and its part [`ApiKeys`]; how it may fail is [`Error`],
//! whose [`ErrorKind`]s mean the same on every transport and version.
//!
//! # What every call keeps to
//!
//! - One call is one request; nothing is sent twice. A pooled connection that turns out to be
//!   closed before the request was written is replaced; [`retry`] repeats what is safe to repeat,
//!   for those who ask for it.
//! - Each call has a deadline, 10 s unless the builder says otherwise. Answers have a largest size.
//! - Times are sent in UTC with all their nanoseconds, and an expiration is always sent: without
//!   one Headscale makes keys that are expired already.
//! - Answers are read leniently: missing, null and unknown fields do no harm, and times before 1900
//!   mean that there is none.
//! - No key is ever printed, logged or part of an error.

#![forbid(unsafe_code)]

mod answer;
mod api;
mod call;
mod classify;
mod connect;
mod detect;
mod error;
pub mod grpc;
mod http_client;
mod model;
mod requests;
pub mod retry;
mod socket;
mod wire;

pub use api::{ApiKeys, HeadscaleApi};
pub use detect::{Release, Version};
pub use error::{Error, ErrorKind};
pub use grpc::pb;
pub use http_client::{Builder, BuilderError, HttpClient};
pub use model::{
    CreatedPreAuthKey, NewDebugNode, NewPreAuthKey, NewUser, Node, NodeExpiry, NodePreAuthKey,
    Policy, PreAuthKey, RegisterMethod, User, UserFilter,
};
pub use socket::{SocketClient, SocketTransport};
