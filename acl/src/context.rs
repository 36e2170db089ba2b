//! What every check is handed: the semantics to check by, and where findings go.

use crate::finding::{Finding, Findings};
use crate::rules::Rule;
use crate::semantics::Semantics;
use crate::span::Span;
use crate::suggest::nearest;

/// The semantics to check by, and where findings go.
pub(crate) struct Context<'f> {
    pub(crate) semantics: &'static Semantics,
    pub(crate) findings: &'f mut Findings,
}

impl Context<'_> {
    /// Reports a break of `rule` at `span`; `message` is asked only where the finding is kept.
    pub(crate) fn report(
        &mut self,
        rule: &'static Rule,
        span: impl Into<Option<Span>>,
        message: impl FnOnce() -> String,
    ) {
        let span = span.into();
        self.findings.push(rule, || Finding::new(rule, span, message()));
    }

    /// The candidate nearest to `name`, while there is budget for the search: a text with thousands
    /// of wrong names among thousands of right ones must not take the product of the two.
    pub(crate) fn nearest<'c>(
        &mut self,
        name: &str,
        candidates: impl ExactSizeIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        self.findings.spend(candidates.len()).then(|| nearest(name, candidates))?
    }

    /// The same, where the finding has more to it than a message.
    pub(crate) fn push(&mut self, rule: &'static Rule, make: impl FnOnce() -> Finding) {
        self.findings.push(rule, make);
    }
}
