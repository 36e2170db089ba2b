//! Headscale, as the manager of a key reaches it.

use std::path::PathBuf;
use std::time::Duration;

use headscale_client::{
    ApiKeys as _, Builder, BuilderError, Error, ErrorKind, HeadscaleApi as _, HttpClient,
    SocketClient,
};
use headscale_keys::{ApiKey, KeyFormatError, KeyPrefix, ListedApiKey, Verified};
use jiff::Timestamp;
use thiserror::Error as ThisError;

/// Where Headscale takes calls from us.
#[derive(Clone, Debug)]
pub enum Access {
    /// At its Unix socket, which asks for no key.
    Socket(PathBuf),
    /// At its URL, with the key of the Secret; this file holds one for when that does not work.
    Url {
        /// A file with a key and nothing else.
        bootstrap: Option<PathBuf>,
    },
}

/// Where Headscale listens, and how it proves that it is the right one.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its URL.
    pub url: String,
    /// Certificates in PEM that are trusted; without them those of the system.
    pub ca: Option<Vec<u8>>,
    /// The name that its certificate is for, where that is not the URL's host.
    pub server_name: Option<String>,
}

impl Address {
    fn client(&self, timeout: Duration) -> Builder {
        let mut builder = HttpClient::builder(&self.url).timeout(timeout);
        if let Some(ca) = &self.ca {
            builder = builder.ca(ca.clone());
        }
        if let Some(name) = &self.server_name {
            builder = builder.server_name(name);
        }
        builder
    }
}

/// Headscale, with what proves a key.
#[derive(Debug)]
pub struct Headscale {
    access: Access,
    socket: Option<SocketClient>,
    address: Option<Address>,
    timeout: Duration,
    /// The client of the last key that was used, so that its connections are.
    with_key: Option<(ApiKey, HttpClient)>,
    /// What the last list was asked with, for what follows from it.
    way: Option<HttpClient>,
    /// Whether it was told that keys cannot be tried.
    is_warned: bool,
}

/// What Headscale lists, and what that says of the key it was asked with.
#[derive(Debug)]
pub struct Listed {
    /// All keys that Headscale has.
    pub keys: Vec<ListedApiKey>,
    /// What became of trying the key.
    pub tried: Tried,
}

/// What became of trying a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was not.
    No,
    /// Headscale let it in.
    Works,
    /// Headscale refused it.
    Refused,
    /// Nothing that asks for a key could be reached.
    Unreachable,
}

/// Why Headscale does not do what it is asked to.
#[derive(Debug, ThisError)]
pub enum HeadscaleError {
    /// It could not be asked, or said no.
    #[error("Headscale: {0}")]
    Client(#[from] Error),
    /// It does not take a key that it has just made.
    #[error(
        "Headscale refuses a key that it has just made ({prefix}), so it is not published: is \
         {url} the server that made it, and has it the same time?"
    )]
    RefusesNew {
        /// The key.
        prefix: KeyPrefix,
        /// Where it was tried.
        url: String,
    },
    /// It does not list a key that it has just made.
    #[error("Headscale does not list a key that it has just made ({0}); it is not published")]
    ListsNotNew(KeyPrefix),
    /// It can only be asked with a key, and there is none.
    #[error(
        "Headscale can only be asked with a key: the Secret has none that works, and {}",
        .0.as_ref().map_or_else(
            || "no --bootstrap-key-file is named".to_owned(),
            |file| format!("the one in {} does not either", file.display())
        )
    )]
    NoKey(Option<PathBuf>),
    /// The file of the first key.
    #[error("{}: {reason}; expected a file that holds an API key", .file.display())]
    Bootstrap {
        /// Which file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The URL.
    #[error(transparent)]
    Url(#[from] BuilderError),
}

impl HeadscaleError {
    /// One word, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Client(error) => error.kind().as_str(),
            Self::RefusesNew { .. } => "refuses_new_key",
            Self::ListsNotNew(_) => "lists_not_new_key",
            Self::NoKey(_) | Self::Bootstrap { .. } => "no_key",
            Self::Url(_) => "url",
        }
    }
}

impl Headscale {
    /// One that is reached by `access`, where keys are tried at `address`, and each call may take
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// When `address` is none of a server, or its certificates are none.
    pub fn new(
        access: Access,
        address: Option<Address>,
        timeout: Duration,
    ) -> Result<Self, HeadscaleError> {
        if let Some(address) = &address {
            address.client(timeout).build()?;
        }
        let socket = match &access {
            Access::Socket(path) => Some(SocketClient::new(path, timeout)),
            Access::Url { .. } => None,
        };
        Ok(Self { access, socket, address, timeout, with_key: None, way: None, is_warned: false })
    }

    /// Whether each list is asked for with the key, because there is no socket.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        self.socket.is_none()
    }

    fn with(&mut self, key: &ApiKey) -> Result<Option<HttpClient>, HeadscaleError> {
        let Some(address) = &self.address else {
            return Ok(None);
        };
        if let Some((last, client)) = &self.with_key
            && last.expose() == key.expose()
        {
            return Ok(Some(client.clone()));
        }
        let client = address.client(self.timeout).api_key(key.clone()).build()?;
        self.with_key = Some((key.clone(), client.clone()));
        Ok(Some(client))
    }

    /// Whether Headscale answers, by whichever way needs no key.
    ///
    /// # Errors
    ///
    /// When it does not; where it is asked at its URL, also when it is a version that is not
    /// supported.
    pub async fn reach(&self) -> Result<(), HeadscaleError> {
        match (&self.socket, &self.address) {
            (Some(socket), _) => socket.list_api_keys().await.map(drop)?,
            (None, Some(address)) => {
                address.client(self.timeout).build()?.version().await.map(drop)?;
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Lists all keys; with `key` where it shall be tried, or there is no other way.
    ///
    /// # Errors
    ///
    /// When there is no list to be had.
    pub async fn list(&mut self, key: Option<&ApiKey>) -> Result<Listed, HeadscaleError> {
        let mut tried = Tried::No;
        if let Some(key) = key
            && let Some(client) = self.with(key)?
        {
            match client.list_api_keys().await {
                Ok(keys) => {
                    self.way = Some(client);
                    return Ok(Listed { keys, tried: Tried::Works });
                }
                Err(error) if error.kind() == ErrorKind::Unauthorized => tried = Tried::Refused,
                Err(error) if self.socket.is_none() => return Err(error.into()),
                Err(error) => {
                    let is_away =
                        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
                    if !is_away && !self.is_warned {
                        self.is_warned = true;
                        tracing::warn!(
                            "the key cannot be tried at --headscale-url: {error}; that Headscale \
                             lists it has to do"
                        );
                    }
                    tried = Tried::Unreachable;
                }
            }
        }
        if let Some(socket) = &self.socket {
            return Ok(Listed { keys: socket.list_api_keys().await?, tried });
        }
        let client = self.bootstrap()?;
        match client.list_api_keys().await {
            Ok(keys) => {
                self.way = Some(client);
                Ok(Listed { keys, tried })
            }
            Err(error) if error.kind() == ErrorKind::Unauthorized => {
                Err(HeadscaleError::NoKey(self.bootstrap_file()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn bootstrap_file(&self) -> Option<PathBuf> {
        match &self.access {
            Access::Socket(_) => None,
            Access::Url { bootstrap } => bootstrap.clone(),
        }
    }

    /// A client with the key of the file, read anew: it may have been replaced.
    fn bootstrap(&mut self) -> Result<HttpClient, HeadscaleError> {
        let file = self.bootstrap_file().ok_or(HeadscaleError::NoKey(None))?;
        let wrong = |reason: String| HeadscaleError::Bootstrap { file: file.clone(), reason };
        let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        let key =
            ApiKey::parse(text.trim()).map_err(|error: KeyFormatError| wrong(error.to_string()))?;
        self.with(&key)?.ok_or(HeadscaleError::NoKey(Some(file)))
    }

    /// Asks for a key that expires at `expiration`: one request, never repeated.
    ///
    /// # Errors
    ///
    /// After some of them the key exists all the same.
    pub async fn create(&self, expiration: Timestamp) -> Result<ApiKey, HeadscaleError> {
        match (&self.socket, &self.way) {
            (Some(socket), _) => Ok(socket.create_api_key(expiration).await?),
            (None, Some(client)) => Ok(client.create_api_key(expiration).await?),
            (None, None) => Err(HeadscaleError::NoKey(self.bootstrap_file())),
        }
    }

    /// Deletes a key; one that is not there counts as deleted.
    ///
    /// # Errors
    ///
    /// When Headscale cannot be asked.
    pub async fn delete(&self, prefix: &KeyPrefix) -> Result<(), HeadscaleError> {
        let deleted = match (&self.socket, &self.way) {
            (Some(socket), _) => socket.delete_api_key(prefix).await,
            (None, Some(client)) => client.delete_api_key(prefix).await,
            (None, None) => return Err(HeadscaleError::NoKey(self.bootstrap_file())),
        };
        match deleted {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Tries a key that was just made: Headscale lets it in, or at least lists it as valid at
    /// `now` where nothing that asks for a key can be reached.
    ///
    /// # Errors
    ///
    /// When it does neither.
    pub async fn prove(
        &mut self,
        key: &ApiKey,
        now: Timestamp,
    ) -> Result<Verified, HeadscaleError> {
        let before = self.way.take();
        let listed = self.list(Some(key)).await;
        if listed.is_err() {
            self.way = before;
        }
        let Listed { keys, tried } = listed?;
        if tried == Tried::Refused {
            let url = self.address.as_ref().map(|address| address.url.clone()).unwrap_or_default();
            return Err(HeadscaleError::RefusesNew { prefix: key.prefix().clone(), url });
        }
        if !keys.iter().any(|it| it.prefix == *key.prefix() && it.is_valid(now)) {
            return Err(HeadscaleError::ListsNotNew(key.prefix().clone()));
        }
        Ok(if tried == Tried::Works { Verified::Authenticated } else { Verified::Listed })
    }
}
