//! The seam between asking an instance and reaching it.

use headscale_client::HttpClient;

use super::port_forward::Tunnel;
use crate::environment::Environment;
use crate::error::CommandError;

/// A way to an instance.
pub(super) trait Connector {
    /// Makes a client of the instance, with its API key.
    ///
    /// # Errors
    ///
    /// Where there is no way or no key, with what to do about it.
    async fn connect(&self, environment: &Environment) -> Result<Connection, CommandError>;
}

/// An instance that can be asked.
pub(super) struct Connection {
    /// The client.
    pub(super) client: HttpClient,
    /// What the instance is called in messages, such as `headscale/main`.
    pub(super) name: String,
    /// Where the API key comes from, for when it is refused.
    pub(super) key: String,
    /// What carries the connections, if not the network.
    pub(super) tunnel: Option<Tunnel>,
}
