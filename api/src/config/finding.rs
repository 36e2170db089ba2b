//! What is told about a configuration.

use headscale_acl::rules::{CONFIG_BAD_VALUE, Rule};
use headscale_acl::{Finding, Severity, Source};

/// A finding about a key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFinding {
    /// What was found, without a place.
    pub finding: Finding,
    /// Where: an RFC 6901 pointer into the configuration. For a key that is missing it is the
    /// object that it would stand in.
    pub pointer: String,
    /// Whether the key's name is wrong and not its value.
    pub about_key: bool,
}

impl ConfigFinding {
    /// A finding about the value at `pointer`.
    pub(super) fn value(rule: &'static Rule, pointer: impl Into<String>, message: String) -> Self {
        let finding = Finding::new(rule, None, message);
        Self { finding, pointer: pointer.into(), about_key: false }
    }

    /// A finding about the key at `pointer`.
    pub(super) fn key(rule: &'static Rule, pointer: impl Into<String>, message: String) -> Self {
        Self { about_key: true, ..Self::value(rule, pointer, message) }
    }

    /// That `acl_policy`, and what belongs in the policy, does not count beside the file `path` of
    /// the user.
    pub(crate) fn own_policy(path: &str) -> Self {
        let message = format!("the policy is read from {path:?}, where nothing of ours is added");
        let finding = Self::value(&CONFIG_BAD_VALUE, "/policy/path", message);
        finding
            .help("remove it, and write the policy in `acl_policy.inline`, or write all there")
            .grave(true)
    }

    /// The same, with what to do.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { finding: self.finding.help(help), ..self }
    }

    /// The same as an error, where `is_security`.
    pub(super) fn grave(mut self, is_security: bool) -> Self {
        if is_security {
            self.finding.severity = Severity::Error;
        }
        self
    }

    /// Whether Headscale of the asked version does not start because of it. An error of ours is not
    /// one: Headscale starts, and does not do what its configuration says about who may do what.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.finding.source == Source::Headscale
    }
}
