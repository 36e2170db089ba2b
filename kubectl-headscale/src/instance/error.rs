//! Errors of Headscale in the tone of kubectl.

use headscale_client::{Error, ErrorKind};

use super::connector::Connection;
use crate::error::CommandError;
use crate::exit::Exit;

/// What `error` of a call on `connection` says to a user.
pub(super) async fn error(error: &Error, connection: &Connection) -> CommandError {
    let label = format!("Error from headscale ({})", reason(error.kind()));
    let is_away = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    // The cluster knows why, and the connection only that it ended.
    let through = match &connection.tunnel {
        Some(tunnel) if is_away => tunnel.failure().await,
        _ => None,
    };
    if let Some(failure) = through {
        let message = format!("{} cannot be reached: {failure}", connection.name);
        return CommandError::failed_as(label, message)
            .hint("its pod is ready all the same: `kubectl logs` of it may say more");
    }
    let told = CommandError::failed_as(label, error.to_string());
    match error.kind() {
        ErrorKind::Unauthorized => {
            told.hint(format!("the API key is that of {}", connection.key)).hint(
                "Headscale does not say whether a key is unknown or expired: `headscale apikeys \
                   list` shows those that there are",
            )
        }
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            told.hint(format!("is {} up, and is this its address?", connection.name))
        }
        ErrorKind::Unsupported => told.hint("this program speaks to Headscale 0.28, 0.29 and 0.30"),
        _ => told,
    }
}

fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "NotFound",
        ErrorKind::AlreadyExists => "AlreadyExists",
        ErrorKind::Unauthorized => "Unauthorized",
        ErrorKind::Invalid => "Invalid",
        ErrorKind::Unavailable => "Unavailable",
        ErrorKind::Timeout => "Timeout",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::Internal => "InternalError",
        ErrorKind::Protocol => "UnexpectedAnswer",
    }
}

/// `error` with the exit code that commands about policies have for servers.
pub(crate) fn at_server(error: CommandError) -> CommandError {
    match error.exit {
        Exit::FAILED => CommandError { exit: Exit::Server, ..error },
        _ => error,
    }
}
