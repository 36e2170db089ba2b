//! Every rule that a finding can name: its id, its text, and an example that breaks it with one
//! that does not. The examples are the rule's test (`acl/tests/rules.rs`), and `docs/rules.md` and
//! `policy rules` are printed from here.
//!
//! To find where a rule is checked, search for its constant, such as [`HOST_UNDEFINED`].

mod config;
mod config_lint;
mod coverage;
mod headscale;
mod lint;
mod suite;
mod tailnet;

pub use config::*;
pub use config_lint::*;
pub use coverage::*;
pub use headscale::*;
pub use lint::*;
pub use suite::*;
pub use tailnet::*;

use crate::finding::{Severity, Source};

/// A rule: what its findings have in common.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable id in kebab-case; never reused for something else.
    pub id: &'static str,
    /// Severity of its findings unless configuration says otherwise.
    pub severity: Severity,
    /// Who says so.
    pub source: Source,
    /// One line: what is wrong.
    pub summary: &'static str,
    /// Why, since when, and what to do; Markdown.
    pub explanation: &'static str,
    /// A policy that breaks it, if it can be shown in one.
    pub bad: &'static str,
    /// The same policy as it should be.
    pub good: &'static str,
    /// The Headscale versions that the bad example is checked for, as `--headscale-version` takes
    /// them; empty for the default.
    pub versions: &'static str,
}

/// All rules: Headscale's first, then those about policies, about snapshots, about tests, those of
/// suites, and those about configurations; each group in the order in which its checks run.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let lints = lint::ALL.iter().chain(tailnet::ALL).chain(coverage::ALL);
    let config = config::ALL.iter().chain(config_lint::ALL);
    headscale::ALL.iter().chain(lints).chain(suite::ALL).chain(config).copied()
}

/// The rule with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

/// Whether the rule with this id is about what tests cover.
pub(crate) fn is_about_coverage(id: &str) -> bool {
    coverage::ALL.iter().any(|rule| rule.id == id)
}

/// Declares the rules of one source, and `ALL` of them in this order.
macro_rules! rules {
    ($source:ident; $($(#[$doc:meta])* $name:ident = $id:literal, $severity:ident, $summary:literal {
        $explanation:literal
        bad $($versions:literal)? : $bad:expr;
        good: $good:expr;
    })*) => {
        $(
            #[doc = $summary]
            $(#[$doc])*
            pub static $name: $crate::rules::Rule = $crate::rules::Rule {
                id: $id,
                severity: $crate::finding::Severity::$severity,
                source: $crate::finding::Source::$source,
                summary: $summary,
                explanation: $explanation,
                bad: $bad,
                good: $good,
                versions: concat!($($versions)?),
            };
        )*

        /// All of them.
        pub(super) static ALL: &[&$crate::rules::Rule] = &[$(&$name),*];
    };
}
use rules;
