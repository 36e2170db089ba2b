//! What is held against the suite.

pub(crate) mod real;
pub(crate) mod standin;

use std::path::Path;
use std::pin::Pin;

use headscale_client::Release;

pub(crate) type Done<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A Headscale, or something like one, with a policy in its database, on TCP and on a Unix socket.
pub(crate) trait Server {
    /// Which one it should be.
    fn release(&self) -> Release;
    /// How it is called in reports.
    fn name(&self) -> String;
    /// Its address, without `/` at the end.
    fn url(&self) -> String;
    /// Its socket.
    fn socket(&self) -> &Path;
    /// Kills it as SIGKILL does, and starts it again with what it had stored.
    fn kill_and_start(&mut self) -> Done<'_, ()>;
    /// Another one of the same kind that has stored nothing.
    fn fresh(&self) -> Done<'_, Box<dyn Server>>;
}
