//! What can go wrong with a plugin.

use std::fmt;

use thiserror::Error;

use crate::limits::Hit;

/// A plugin that failed: that concerns it alone, never the policy or other plugins.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("plugin {plugin}: {failure}")]
pub struct PluginError {
    /// What the plugin was loaded as: `./owners.wasm`, `builtin:keystone`.
    pub plugin: String,
    /// What happened.
    pub failure: Failure,
}

/// A function of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `meta.describe`
    Describe,
    /// `meta.check-settings`
    CheckSettings,
    /// `validator.validate`
    Validate,
    /// `renderer.render`
    Render,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Describe => "describe",
            Self::CheckSettings => "check-settings",
            Self::Validate => "validate",
            Self::Render => "render",
        })
    }
}

/// What happened to a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// It is no component.
    #[error("{0}")]
    NotAComponent(NotAComponent),
    /// It is a component, and no whole or valid one.
    #[error("the component is damaged or cut off: {0}")]
    Damaged(String),
    /// It is too large to be compiled.
    #[error("the component has {0}")]
    TooLarge(Hit),
    /// It is a component of another kind.
    #[error("it is no policy plugin: it exports {exports}, and not `{wanted}`")]
    OtherWorld {
        /// What it exports.
        exports: String,
        /// What it should.
        wanted: String,
    },
    /// It is for a version of the interface that this host does not serve.
    #[error(
        "it needs version {version} of the interface headscale:policy, and this program serves \
         {served}: {}", hint(.newer)
    )]
    Interface {
        /// The version that it is for.
        version: String,
        /// The one that is served.
        served: &'static str,
        /// Whether it is newer.
        newer: bool,
    },
    /// It asks for more than plugins are given.
    #[error(
        "it imports `{0}`, and plugins are given `log` and `reachability` of headscale:policy \
         only: build it without WASI (`plugin build` does)"
    )]
    Import(String),
    /// What it tells of itself is wrong.
    #[error("its descriptor is wrong: {0}")]
    Descriptor(String),
    /// It cannot be used so.
    #[error("it has no {0}")]
    Lacks(&'static str),
    /// Settings or parameters that are not what it takes.
    #[error("its {what} are wrong: {}", joined(.problems))]
    Values {
        /// `settings` or `params`.
        what: &'static str,
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
    /// It used more than it may.
    #[error("`{call}` took {hit}{}", said(.log))]
    Limit {
        /// What it was doing.
        call: Call,
        /// The limit.
        hit: Hit,
        /// Its last note.
        log: Option<String>,
    },
    /// It broke off.
    #[error("`{call}` broke off: {reason}{}", said(.log))]
    Trap {
        /// What it was doing.
        call: Call,
        /// Why, in the words of the runtime.
        reason: String,
        /// Its last note, such as the message of a panic.
        log: Option<String>,
    },
    /// It answered with what cannot be read.
    #[error("the answer of `{call}` cannot be read: {reason}{}", said(.log))]
    Answer {
        /// What it was doing.
        call: Call,
        /// Why.
        reason: String,
        /// Its last note.
        log: Option<String>,
    },
    /// It says that it could not do its work.
    #[error("`{call}` failed: {message}")]
    Refused {
        /// What it was doing.
        call: Call,
        /// Its message.
        message: String,
    },
    /// The engine cannot run at all.
    #[error("the engine cannot run it: {0}")]
    Engine(String),
}

/// Something that is wrong with settings or parameters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{message}", if pointer.is_empty() { String::new() } else { format!("{pointer}: ") })]
pub struct Problem {
    /// Where, as a JSON pointer; empty for all of them.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

fn joined(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What a file is that is no component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAComponent {
    /// Something else.
    #[error("it is no WebAssembly: a plugin is a component, a binary file that starts with \\0asm")]
    NotWasm,
    /// A core module.
    #[error("it is a core module: make a component of it (`plugin build` does)")]
    CoreModule,
    /// Compiled code.
    #[error(
        "it is compiled code, which is never taken, because nothing could tell what it does: give \
         the component that it was made from"
    )]
    Compiled,
}

const fn hint(newer: &bool) -> &'static str {
    if *newer {
        "update this program, or take an older version of the plugin"
    } else {
        "take a newer version of the plugin"
    }
}

fn said(log: &Option<String>) -> String {
    log.as_ref().map(|line| format!("; its last note: {line}")).unwrap_or_default()
}
