//! tailscaled's LocalAPI on its Unix socket.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headscale_keys::reissue::{DaemonState, Signal};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use thiserror::Error;
use tokio::net::UnixStream;

/// The host that tailscaled wants to be named.
const HOST: &str = "local-tailscaled.sock";
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The bits of `ipn.NotifyWatchOpt`: the initial state (2), no private keys (16, which tailscaled
/// of before 2025 had to be told), the initial health (128), netmaps at a slow pace (256).
const MASK: u32 = 2 | 16 | 128 | 256;
/// The warning of a login that failed.
const LOGIN_STATE: &str = "login-state";
/// What one answer may weigh.
const MAX_ANSWER: usize = 1 << 20;
/// What one message on the bus may weigh. Netmaps come unasked.
const MAX_MESSAGE: usize = 64 << 20;

/// Why tailscaled did not do what it was asked for.
#[derive(Debug, Error)]
pub enum LocalApiError {
    /// Its socket cannot be connected to.
    #[error("{}: {source}; is tailscaled up, and its socket's directory shared?", .socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The connection broke.
    #[error("tailscaled: {0}")]
    Broken(#[from] hyper::Error),
    /// It did not answer in time.
    #[error("tailscaled did not answer {0} within 10 s")]
    Timeout(&'static str),
    /// It refused.
    #[error("tailscaled answers {call} with {status}{}", hint(*.status))]
    Refused {
        /// The endpoint.
        call: &'static str,
        /// Its status.
        status: StatusCode,
    },
    /// What it said cannot be read.
    #[error("tailscaled answers {0} with what cannot be read")]
    Unreadable(&'static str),
    /// It has no config.
    #[error(
        "tailscaled was started without --config, so it cannot be given another key while it runs: \
         start it with --config, or use --on-new-key exit"
    )]
    NoConfig,
    /// It has a config that it cannot read.
    #[error("tailscaled could not read its config again{}", reason(.0))]
    Reload(String),
}

impl LocalApiError {
    /// Whether tailscaled is not there, or does not answer: another one may.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Broken(_) | Self::Timeout(_))
    }
}

fn hint(status: StatusCode) -> &'static str {
    if status == StatusCode::FORBIDDEN {
        ": run as root, as tailscaled's user or as the OperatorUser of its config"
    } else {
        ""
    }
}

fn reason(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// The LocalAPI at a socket. Each call connects anew.
#[derive(Clone, Debug)]
pub struct LocalApi {
    socket: PathBuf,
}

impl LocalApi {
    /// At `socket`.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Opens the bus. What tailscaled says first is the state at hand.
    ///
    /// # Errors
    ///
    /// [`LocalApiError`] when it cannot be opened.
    pub async fn watch(&self) -> Result<Bus, LocalApiError> {
        let path = format!("watch-ipn-bus?mask={MASK}");
        let response = self.send(Method::GET, "watch-ipn-bus", &path).await?;
        let capability = response
            .headers()
            .get("Tailscale-Cap")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Bus { capability, body: response.into_body(), read: Vec::new(), searched: 0 })
    }

    /// Opens the bus and passes over the state at hand: what is heard is about what is done from
    /// now on.
    ///
    /// # Errors
    ///
    /// [`LocalApiError`] when it cannot be opened, or nothing is said on it within 10 s.
    pub async fn watch_from_now(&self) -> Result<Bus, LocalApiError> {
        let mut bus = self.watch().await?;
        match tokio::time::timeout(TIMEOUT, bus.next()).await {
            Ok(first) => first.map(|_| bus),
            Err(_) => Err(LocalApiError::Timeout("watch-ipn-bus")),
        }
    }

    /// Has tailscaled let go of the server, so that it does not try a key that failed again and
    /// again.
    ///
    /// # Errors
    ///
    /// [`LocalApiError`] when it does not.
    pub async fn disconnect_control(&self) -> Result<(), LocalApiError> {
        self.send(Method::POST, "disconnect-control", "disconnect-control").await.map(drop)
    }

    /// Has tailscaled read its config again and log in with what stands there.
    ///
    /// # Errors
    ///
    /// [`LocalApiError::NoConfig`] where it was started without one, [`LocalApiError::Reload`]
    /// where it cannot read it; else as the others.
    pub async fn login_by_config(&self) -> Result<(), LocalApiError> {
        let text = self.call(Method::POST, "reload-config", "reload-config").await?;
        // 1.92 sends nothing at all, with success, when it cannot read the config.
        if text.is_empty() {
            return Err(LocalApiError::Reload(String::new()));
        }
        let reloaded: Reloaded = serde_json::from_slice(&text)
            .map_err(|_| LocalApiError::Unreadable("reload-config"))?;
        if !reloaded.err.is_empty() {
            return Err(LocalApiError::Reload(reloaded.err));
        }
        if !reloaded.reloaded {
            return Err(LocalApiError::NoConfig);
        }
        // Reading the config alone starts no login where the server was let go of.
        self.send(Method::POST, "start", "start").await.map(drop)
    }

    /// Which device tailscaled is, once it is logged in.
    ///
    /// # Errors
    ///
    /// [`LocalApiError`] when it does not say.
    pub async fn device(&self) -> Result<Option<Device>, LocalApiError> {
        let text = self.call(Method::GET, "status", "status?peers=false").await?;
        let status: Status =
            serde_json::from_slice(&text).map_err(|_| LocalApiError::Unreadable("status"))?;
        Ok(status.device.filter(|device| !device.id.is_empty()))
    }

    async fn call(
        &self,
        method: Method,
        call: &'static str,
        path: &str,
    ) -> Result<Bytes, LocalApiError> {
        let response = self.send(method, call, path).await?;
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
        match tokio::time::timeout(TIMEOUT, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(match error.downcast() {
                Ok(broken) => LocalApiError::Broken(*broken),
                Err(_) => LocalApiError::Unreadable(call),
            }),
            Err(_) => Err(LocalApiError::Timeout(call)),
        }
    }

    async fn send(
        &self,
        method: Method,
        call: &'static str,
        path: &str,
    ) -> Result<Response<Incoming>, LocalApiError> {
        let answer = async {
            let stream = UnixStream::connect(&self.socket)
                .await
                .map_err(|source| LocalApiError::Connect { socket: self.socket.clone(), source })?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // It ends with the answer's body, and what goes wrong with it is told there.
            tokio::spawn(connection);
            let body = if call == "start" { "{}" } else { "" };
            let request = Request::builder()
                .method(method)
                .uri(format!("/localapi/v0/{path}"))
                .header(hyper::header::HOST, HOST)
                .body(Full::new(Bytes::from_static(body.as_bytes())))
                .map_err(|_| LocalApiError::Unreadable(call))?;
            sender.send_request(request).await.map_err(LocalApiError::Broken)
        };
        let response = match tokio::time::timeout(TIMEOUT, answer).await {
            Ok(response) => response?,
            Err(_) => return Err(LocalApiError::Timeout(call)),
        };
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(LocalApiError::Refused { call, status }),
        }
    }
}

#[derive(Deserialize)]
struct Reloaded {
    #[serde(rename = "Reloaded", default)]
    reloaded: bool,
    #[serde(rename = "Err", default)]
    err: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(rename = "Self")]
    device: Option<Device>,
}

/// A device, as tailscaled tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Device {
    /// Its stable id, which is Headscale's number of it. Empty before it is registered.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name in the tailnet, with a dot at its end.
    #[serde(rename = "DNSName", default)]
    pub name: String,
    /// Its addresses in the tailnet.
    #[serde(rename = "TailscaleIPs", default)]
    pub ips: Option<Vec<String>>,
}

/// What tailscaled says, message by message.
#[derive(Debug)]
pub struct Bus {
    /// The capability version of this tailscaled, where it says so.
    pub capability: Option<u32>,
    body: Incoming,
    read: Vec<u8>,
    /// How far `read` holds no end of a message.
    searched: usize,
}

impl Bus {
    /// The next message. `None`: tailscaled ended. Nothing is lost when this is dropped half-way.
    ///
    /// # Errors
    ///
    /// [`LocalApiError`] when the connection breaks, or what is said cannot be read.
    pub async fn next(&mut self) -> Result<Option<Notify>, LocalApiError> {
        loop {
            let rest = self.read.get(self.searched..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=self.searched + length).collect();
                self.searched = 0;
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|_| LocalApiError::Unreadable("watch-ipn-bus"));
            }
            self.searched = self.read.len();
            if self.searched > MAX_MESSAGE {
                return Err(LocalApiError::Unreadable("watch-ipn-bus"));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
}

/// One message (`ipn.Notify`): what of it bears on logins. All else is passed over unread.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Notify {
    #[serde(rename = "State")]
    state: Option<i64>,
    #[serde(rename = "ErrMessage")]
    error: Option<String>,
    #[serde(rename = "Health")]
    health: Option<Health>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Health {
    #[serde(rename = "Warnings")]
    warnings: Option<HashMap<String, Warning>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Warning {
    #[serde(rename = "Args")]
    args: Option<HashMap<String, String>>,
}

impl Notify {
    /// What it says.
    pub fn signals(&self) -> impl Iterator<Item = Signal<'_>> {
        let state = self.state.map(|state| Signal::State(DaemonState::from_number(state)));
        let health = self.health.as_ref().map(|health| {
            let warning = health.warnings.as_ref().and_then(|all| all.get(LOGIN_STATE));
            Signal::LoginWarning(warning.map(|warning| {
                let error = warning.args.as_ref().and_then(|args| args.get("error"));
                error.map_or("", String::as_str)
            }))
        });
        let refused = self.error.as_deref().map(Signal::Refused);
        health.into_iter().chain(state).chain(refused)
    }
}
