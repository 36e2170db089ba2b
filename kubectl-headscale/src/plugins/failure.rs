//! What goes wrong with plugins, as the program ends.

use headscale_policy_host::PluginError;
use headscale_policy_registry::{Error, FetchError, LockError, StoreError};

use crate::error::CommandError;
use crate::exit::Exit;

/// A plugin that could not do its work.
pub(crate) fn plugin_error(error: &PluginError) -> CommandError {
    CommandError::plugin(error.to_string())
}

/// What the lock file does not vouch for.
pub(crate) fn lock_error(error: &LockError) -> CommandError {
    let exit = if matches!(error, LockError::Io { .. }) { Exit::Usage } else { Exit::Integrity };
    CommandError { exit, ..CommandError::usage(error.to_string()) }.hint(error.help())
}

/// A store that does not give or take a plugin.
pub(crate) fn store_error(error: &StoreError) -> CommandError {
    let exit = match error {
        StoreError::Damaged { .. } => Exit::Integrity,
        StoreError::Io { .. } => Exit::Usage,
    };
    CommandError { exit, ..CommandError::usage(error.to_string()) }.hint(error.help())
}

/// A registry that does not give or take a plugin.
pub(crate) fn registry_error(error: &Error) -> CommandError {
    let exit = match error {
        Error::Integrity { .. } => Exit::Integrity,
        Error::NotFound { .. } | Error::Unauthorized { .. } | Error::Unavailable { .. } => {
            Exit::Server
        }
        Error::TooLarge { .. }
        | Error::Invalid { .. }
        | Error::Credentials(_)
        | Error::Setup(_) => Exit::Usage,
    };
    let told = CommandError { exit, ..CommandError::usage(error.to_string()) };
    match error.help() {
        Some(help) => told.hint(help),
        None => told,
    }
}

/// A plugin that could not be had through the store.
pub(crate) fn fetch_error(error: &FetchError) -> CommandError {
    match error {
        FetchError::Registry(error) => registry_error(error),
        FetchError::Store(error) => store_error(error),
    }
}
