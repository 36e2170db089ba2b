//! Edits of a text that keep everything they do not name, comments above all.

use thiserror::Error;

use crate::span::Span;

/// A replacement of one stretch of text by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; an empty span inserts.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

impl Edit {
    /// Replaces what stands at `span` by `text`.
    #[must_use]
    pub fn replace(span: Span, text: impl Into<String>) -> Self {
        Self { span, text: text.into() }
    }

    /// Inserts `text` before the byte at `offset`.
    #[must_use]
    pub fn insert(offset: u32, text: impl Into<String>) -> Self {
        Self::replace(Span::new(offset, offset), text)
    }
}

/// Why edits could not be applied. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// Two edits change the same text.
    #[error("two edits overlap at offset {0}")]
    Overlap(u32),
    /// An edit reaches past the end of the text, or into the middle of a character.
    #[error("an edit at offset {0} does not fit the text")]
    OutOfText(u32),
}

/// Applies `edits`, in any order, to `text`.
///
/// Linear in the text, plus sorting the edits.
///
/// # Errors
///
/// When edits overlap or do not fit the text.
///
/// ```
/// use headscale_acl::hujson::{Edit, apply};
/// use headscale_acl::Span;
///
/// let text = r#"{"src": ["alice"]} // who"#;
/// let edit = Edit::replace(Span::new(9, 16), r#""alice@""#);
/// assert_eq!(apply(text, &[edit]).unwrap(), r#"{"src": ["alice@"]} // who"#);
/// ```
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| edit.span);
    let mut out = String::with_capacity(text.len());
    let mut done = 0_u32;
    for edit in sorted {
        if edit.span.start < done {
            return Err(EditError::Overlap(edit.span.start));
        }
        let kept = text.get(done as usize..edit.span.start as usize);
        let replaced = text.get(edit.span.range());
        let (Some(kept), Some(_)) = (kept, replaced) else {
            return Err(EditError::OutOfText(edit.span.start));
        };
        out.push_str(kept);
        out.push_str(&edit.text);
        done = edit.span.end;
    }
    out.push_str(text.get(done as usize..).ok_or(EditError::OutOfText(done))?);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_that_overlap_change_nothing() {
        let edits = [Edit::replace(Span::new(0, 3), "x"), Edit::replace(Span::new(2, 4), "y")];
        assert_eq!(apply("abcdef", &edits), Err(EditError::Overlap(2)));
        assert_eq!(
            apply("ab", &[Edit::replace(Span::new(1, 9), "")]),
            Err(EditError::OutOfText(1))
        );
    }
}
