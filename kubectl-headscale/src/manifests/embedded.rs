//! A policy in a YAML text: its places there, and how it is put back.

use std::ops::Range;
use std::sync::Arc;

use headscale_acl::hujson::Edit;
use headscale_acl::{Finding, Fix, Span};
use serde_saphyr::granit_parser::ScalarStyle;
use thiserror::Error;

use super::offsets::{Offsets, leading_lines};
use super::tree::Scalar;

/// Where a policy stands in a YAML text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Embedded {
    source: Arc<str>,
    /// The object: `HeadscalePolicy default/main`.
    object: String,
    /// Where it stands in the object: `spec.inline`.
    field: String,
    /// Whether there are others in the text, so that its object must be told.
    is_one_of_many: bool,
    style: ScalarStyle,
    /// Where its first line begins that is not empty.
    first_line: u32,
    offsets: Offsets,
}

/// Why a policy cannot be put back.
#[derive(Debug, Error)]
pub(crate) enum EmbedError {
    /// It is not a block with `|`.
    #[error("{field} of the {object} is not a block with `|`, the one form that can be written")]
    NotABlock {
        /// The object.
        object: String,
        /// Where in the object.
        field: String,
    },
    /// YAML would read something else than what was to be written.
    #[error("{field} of the {object} cannot be written so that YAML reads the same")]
    Ambiguous {
        /// The object.
        object: String,
        /// Where in the object.
        field: String,
    },
}

impl Embedded {
    pub(super) fn new(
        source: Arc<str>,
        (object, field): (String, String),
        scalar: &Scalar,
        is_one_of_many: bool,
    ) -> Self {
        let offsets = Offsets::new(scalar, &source);
        let first_line = u32::try_from(leading_lines(&scalar.text).len()).unwrap_or(u32::MAX);
        let style = scalar.style;
        Self { source, object, field, is_one_of_many, style, first_line, offsets }
    }

    /// The whole YAML text.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The same, to tell whether others stand in it too.
    pub(crate) fn shared_source(&self) -> Arc<str> {
        Arc::clone(&self.source)
    }

    /// The object that it stands in: `HeadscalePolicy default/main`.
    pub(crate) fn object(&self) -> &str {
        &self.object
    }

    /// Where it stands in the object: `spec.inline`.
    pub(super) fn field(&self) -> &str {
        &self.field
    }

    /// The object, where the text has other policies too.
    pub(crate) fn distinct(&self) -> Option<&str> {
        self.is_one_of_many.then_some(&*self.object)
    }

    /// Where in the YAML text `span` of the policy stands.
    pub(crate) fn place(&self, span: Span) -> Span {
        let start = self.offsets.place(span.start);
        Span::new(start, self.offsets.place(span.end).max(start))
    }

    /// `finding` with its places in the YAML text, and with its object where there are others.
    pub(crate) fn finding(&self, finding: Finding) -> Finding {
        let message = match self.distinct() {
            Some(object) => format!("{object}: {}", finding.message),
            None => finding.message,
        };
        let whole = Span::new(self.offsets.place(0), self.offsets.place(0));
        Finding {
            message,
            span: Some(finding.span.map_or(whole, |span| self.place(span))),
            fix: finding.fix.and_then(|fix| self.fix(fix)),
            ..finding
        }
    }

    /// The same repair of the YAML text; `None` where its form cannot be written.
    fn fix(&self, fix: Fix) -> Option<Fix> {
        let indentation = self.indentation()?;
        let edits = fix.edits.into_iter().map(|edit| {
            let text = indented_after_first(&edit.text, indentation);
            Edit::replace(self.place(edit.span), text.replace('\n', self.line_end()))
        });
        Some(Fix { title: fix.title, edits: edits.collect() })
    }

    /// What stands before each line of the block; `None` where it is not one with `|`.
    fn indentation(&self) -> Option<&str> {
        if self.style != ScalarStyle::Literal {
            return None;
        }
        let start = self.offsets.place(self.first_line) as usize;
        let indentation = self.source.get(self.line_start(start)?..start)?;
        indentation.bytes().all(|byte| byte == b' ').then_some(indentation)
    }

    fn line_start(&self, at: usize) -> Option<usize> {
        Some(self.source.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1))
    }

    /// How its lines end in the YAML text.
    fn line_end(&self) -> &'static str {
        let rest = self.source.get(self.offsets.place(0) as usize..).unwrap_or_default();
        match rest.split_once('\n') {
            Some((line, _)) if line.ends_with('\r') => "\r\n",
            _ => "\n",
        }
    }

    /// Which bytes of the YAML text this one, which is `old`, has, and what they are to be for it to
    /// be `policy`.
    pub(super) fn replacement(
        &self,
        old: &str,
        policy: &str,
    ) -> Result<(Range<usize>, String), EmbedError> {
        let (object, field) = (self.object.clone(), self.field.clone());
        let Some(indentation) = self.indentation() else {
            return Err(EmbedError::NotABlock { object, field });
        };
        let last = u32::try_from(old.trim_end_matches('\n').len()).unwrap_or(u32::MAX);
        let end = self.offsets.place(last) as usize;
        match self.line_start(self.offsets.place(0) as usize) {
            Some(start) if start <= end => {
                // With that of the first line.
                let policy = format!("\n{}", policy.trim_end_matches('\n'));
                let policy = indented_after_first(&policy, indentation);
                let policy = policy.strip_prefix('\n').unwrap_or_default();
                Ok((start..end, policy.replace('\n', self.line_end())))
            }
            _ => Err(EmbedError::Ambiguous { object, field }),
        }
    }

    pub(super) fn ambiguous(&self) -> EmbedError {
        EmbedError::Ambiguous { object: self.object.clone(), field: self.field.clone() }
    }
}

/// `text` with `indentation` before each line but the first, and before none that is empty.
fn indented_after_first(text: &str, indentation: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
            if !line.is_empty() {
                out.push_str(indentation);
            }
        }
        out.push_str(line);
    }
    out
}
