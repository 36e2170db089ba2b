//! Runs policy plugins: WebAssembly components that judge Headscale policies, or write them.
//!
//! A plugin answers to the interface in `policies/wit`. It runs by itself, with nothing but the
//! policy, its settings, and questions about who reaches what: no files, no network, no clock. What
//! it may use is bounded, see [`Limits`], and the same input costs the same fuel. What it says is
//! untrusted: bounded, cleaned, and held against the policy.
//!
//! ```text
//! bytes ──> scan ──> compile or cache ──> describe ──> Plugin ──> settings ──> PluginValidator
//!                                                        └──> render
//! ```
//!
//! - [`Host`] loads a [`Plugin`] from the bytes of a component;
//! - [`Plugin::validator`] gives it its settings, [`Plugin::render`] has it write a policy;
//! - [`run`] has all [`Validator`]s, plugins and [`NativeLints`] alike, judge a [`Subject`].
//!
//! A plugin that fails is a [`PluginError`] of its own; the others go on.

mod answer;
mod bindings;
mod builtin;
mod cache;
mod compiled;
mod context;
mod descriptor;
mod error;
mod host;
mod limits;
mod plugin;
mod reachability;
mod scan;
mod schema;
mod subject;
mod text;
mod ticker;
mod validator;

pub use answer::Verdict;
pub use builtin::{Builtin, builtins};
pub use cache::{CACHE_BYTES, Pruned, prune};
pub use context::{Level, Note};
pub use descriptor::{Descriptor, Rule};
pub use error::{Call, Failure, NotAComponent, PluginError, Problem};
pub use host::{Compilation, Host, Options, TARGET, precompile};
pub use limits::{Hit, Limit, LimitError, Limits};
pub use plugin::{Plugin, PluginValidator, Rendered, Usage};
pub use scan::{Surface, scan};
pub use subject::{Subject, View};
pub use validator::{NativeLints, Validator, run};
