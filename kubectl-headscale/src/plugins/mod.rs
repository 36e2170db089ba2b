//! Policy plugins of a run: found by their references, loaded, and given their settings.

mod failure;
mod judges;
mod source;
mod values;

use std::path::PathBuf;

use headscale_policy_host::builtins;
use headscale_policy_registry::Reference;

pub(crate) use failure::{fetch_error, lock_error, plugin_error, registry_error, store_error};
pub(crate) use judges::Judges;
pub(crate) use source::{Source, cache, client, compiled, pulled};
pub(crate) use values::Values;

/// A plugin that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Where it is.
    pub(crate) reference: Reference,
    /// What a relative path in the reference is relative to, itself relative to the current
    /// directory.
    pub(crate) base: PathBuf,
    /// Its settings.
    pub(crate) settings: Values,
}

/// The references of the plugins that come with the program.
pub(crate) fn built_in() -> impl Iterator<Item = Reference> {
    // Their names are those of references.
    builtins().iter().filter_map(|builtin| format!("builtin:{}", builtin.name).parse().ok())
}
