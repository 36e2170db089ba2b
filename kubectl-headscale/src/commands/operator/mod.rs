//! What `install`, `upgrade`, `uninstall` and `render operator` share.

mod apply;
mod consent;
mod data;
mod differences;
mod owned;
mod plan;
mod reference;
mod rollout;
mod settings;
mod survey;

pub(crate) use apply::{ApplyArgs, Mode};
pub(crate) use consent::{ask, ask_for_name};
pub(crate) use data::{Data, Scope};
pub(crate) use owned::owned;
pub(crate) use reference::Reference;
pub(crate) use settings::{SettingsArgs, watched};
pub(crate) use survey::{Survey, is_of_helm};
