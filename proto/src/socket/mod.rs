//! The client of the Unix socket of a Headscale beside us, whatever version it is.

mod connection;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headscale_keys::{ApiKey, KeyPrefix, ListedApiKey};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::api::ApiKeys;
use crate::error::{Error, ErrorKind};
use crate::http_client::late;
use crate::requests::api_keys::operation;

use connection::Connection;

/// What a Unix socket of Headscale speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketTransport {
    /// gRPC: Headscale 0.29 or older.
    Grpc,
    /// HTTP: Headscale 0.30.
    Http,
}

/// A client of the Unix socket of a Headscale, which asks for no key: whoever may open the socket is
/// trusted.
///
/// What is spoken there is found out with each connection, before anything else is asked. One
/// connection is kept; where it is closed, because Headscale was restarted, the next call makes
/// another one, and finds out anew what it speaks. Clones share the connection.
#[derive(Clone, Debug)]
pub struct SocketClient {
    path: Arc<Path>,
    timeout: Duration,
    kept: Arc<Mutex<Option<Connection>>>,
}

impl SocketClient {
    /// A client of the socket at `path`, of which each call may take `timeout`, connecting and all.
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { path: path.into().into(), timeout, kept: Arc::default() }
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the socket speaks, of a connection that was open a moment ago.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) where there is no socket, nobody listens or it must
    /// not be opened, with what to do about it; [`Timeout`](ErrorKind::Timeout);
    /// [`Protocol`](ErrorKind::Protocol) where what listens is not Headscale.
    pub async fn transport(&self) -> Result<SocketTransport, Error> {
        let operation = "ask the socket what it speaks";
        let deadline = Instant::now() + self.timeout;
        let connection = match self.take().await {
            Some(connection) => connection,
            None => self.open(operation, deadline).await?,
        };
        let transport = connection.transport();
        self.keep(connection);
        Ok(transport)
    }

    /// Makes a call over a connection that is open, which is kept where it can serve another one.
    async fn call<T, F>(
        &self,
        operation: &'static str,
        call: impl Fn(Connection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + self.timeout;
        if let Some(connection) = self.take().await {
            let result = self.over(connection, operation, deadline, &call).await;
            // The other end had closed it, and this was not known yet.
            let is_unsent = result.as_ref().is_err_and(|error| {
                error.kind() == ErrorKind::Unavailable && !error.may_have_acted()
            });
            if !is_unsent {
                return result;
            }
        }
        let connection = self.open(operation, deadline).await?;
        self.over(connection, operation, deadline, &call).await
    }

    async fn over<T, F>(
        &self,
        connection: Connection,
        operation: &'static str,
        deadline: Instant,
        call: &impl Fn(Connection) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let result = match tokio::time::timeout_at(deadline, call(connection.clone())).await {
            Ok(result) => result,
            Err(_) => Err(late(operation, self.timeout)),
        };
        let is_broken = result.as_ref().is_err_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Protocol
            )
        });
        if !is_broken {
            self.keep(connection);
        }
        result
    }

    async fn open(&self, operation: &'static str, deadline: Instant) -> Result<Connection, Error> {
        let opening = Connection::open(&self.path, operation);
        match tokio::time::timeout_at(deadline, opening).await {
            Ok(connection) => connection,
            Err(_) => {
                let text = format!("no connection within {} s", self.timeout.as_secs_f64());
                Err(Error::unsent(operation, ErrorKind::Timeout, &text))
            }
        }
    }

    /// The connection that is kept, where it is open.
    async fn take(&self) -> Option<Connection> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        // That the other end closed it is known once the runtime has looked, and then the task has
        // run that drives the connection.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        kept.filter(Connection::is_usable)
    }

    fn keep(&self, connection: Connection) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

impl ApiKeys for SocketClient {
    async fn create_api_key(&self, expiration: Timestamp) -> Result<ApiKey, Error> {
        let call =
            |connection: Connection| async move { connection.create_api_key(expiration).await };
        self.call(operation::CREATE, call).await
    }

    async fn list_api_keys(&self) -> Result<Vec<ListedApiKey>, Error> {
        let call = |connection: Connection| async move { connection.list_api_keys().await };
        self.call(operation::LIST, call).await
    }

    async fn expire_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        let call = |connection: Connection| async move { connection.expire_api_key(prefix).await };
        self.call(operation::EXPIRE, call).await
    }

    async fn delete_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        let call = |connection: Connection| async move { connection.delete_api_key(prefix).await };
        self.call(operation::DELETE, call).await
    }
}
