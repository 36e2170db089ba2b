//! `headscale-sidecar authkey`: the node's side of the protocol by which its auth key is reissued
//! ([`headscale_keys::reissue`]), where containerboot does not do it.
//!
//! Nothing is held in memory that matters: killed anywhere, it goes on from what the state Secret,
//! the config and tailscaled say. No key is ever logged, but for the part of it that names it.

pub mod args;
pub mod config;
mod error;
pub mod localapi;
mod node;
pub mod state_secret;
mod wait;

use headscale_keys::AuthKey;
use headscale_keys::reissue::{Clearing, request};
use tokio::signal::unix::{SignalKind, signal};

pub use args::{Args, Command};
pub use error::Error;

use args::{Clear, Request, Wait};
use state_secret::StateSecret;

/// Runs one command of `authkey`, until it is done or SIGTERM or SIGINT comes. A signal ends `run`
/// with success.
///
/// # Errors
///
/// [`Error`], which knows its exit code.
pub async fn run(args: Args) -> Result<(), Error> {
    let mut term = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut int = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let is_run = matches!(args.command, Command::Run(_));
    tokio::select! {
        done = dispatch(args) => done,
        () = async { tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} } } => {
            tracing::info!("ended by a signal; what was asked for stays asked for");
            if is_run { Ok(()) } else { Err(Error::Ended) }
        }
    }
}

async fn dispatch(args: Args) -> Result<(), Error> {
    let Args { connection, command } = args;
    let client = async || crate::kubernetes::client(&connection).await.map_err(Error::connection);
    match command {
        Command::Request(args) => ask(&args, &client().await?).await,
        Command::Wait(args) => {
            let client = if args.secret.is_some() { Some(client().await?) } else { None };
            wait(&args, client.as_ref()).await
        }
        Command::Clear(args) => clear(&args, &client().await?).await,
        Command::Run(args) => watch(&args, &client().await?).await,
    }
}

/// `authkey request` with a client of the API server.
///
/// # Errors
///
/// When there is no telling which key failed, or the state Secret cannot be written.
pub async fn ask(args: &Request, client: &kube::Client) -> Result<(), Error> {
    let source = args.source().ok_or(Error::NoSource)?;
    let failed = source.key()?.unwrap_or_else(|| AuthKey::new(""));
    let state = StateSecret::new(client, args.state.namespace.as_deref(), &args.state.secret);
    state.apply(&request(&failed)).await?;
    tracing::info!(?failed, "asked for another key");
    Ok(())
}

/// `authkey wait`, with a client of the API server where it names a Secret.
///
/// # Errors
///
/// [`Error::TimedOut`] when no other key comes in time.
pub async fn wait(args: &Wait, client: Option<&kube::Client>) -> Result<(), Error> {
    let source = args.directory.source();
    let failed = match (&args.secret, client) {
        (Some(secret), Some(client)) => {
            let state = StateSecret::new(client, args.namespace.as_deref(), secret);
            let Some(marker) = state.marker().await? else {
                tracing::info!("no key is asked for");
                return Ok(());
            };
            marker
        }
        _ => source.key()?.unwrap_or_else(|| AuthKey::new("")),
    };
    wait::until_answered(&source, &failed, args.times).await.map(drop)
}

/// `authkey clear` with a client of the API server.
///
/// # Errors
///
/// When the state Secret cannot be written.
pub async fn clear(args: &Clear, client: &kube::Client) -> Result<(), Error> {
    let state = StateSecret::new(client, args.state.namespace.as_deref(), &args.state.secret);
    let clearing = if args.keep_login { Clearing::Device } else { Clearing::Login };
    state.clear(clearing).await?;
    tracing::info!("cleared the marker");
    Ok(())
}

/// `authkey run` with a client of the API server. Ends when another key has come and
/// `--on-new-key` is `exit`, and else never.
///
/// # Errors
///
/// When the state Secret cannot be written, tailscaled does not do what it is told, or no other
/// key comes in time.
pub async fn watch(args: &args::Run, client: &kube::Client) -> Result<(), Error> {
    node::run(args, client).await
}
