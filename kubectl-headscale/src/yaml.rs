//! YAML, read in one way everywhere.

use headscale_acl::Span;
use serde::Deserialize;
use serde_saphyr::Location;

use crate::place::PlacedError;

/// Reads one YAML document. Repeated keys are errors; `yes` and `no` are booleans, as everywhere
/// around Kubernetes.
///
/// Aliases, depth and bytes are bounded, the number of values and comments is not: a snapshot has
/// as many nodes as it has.
///
/// # Errors
///
/// When the text is not YAML, or not a `T`.
pub(crate) fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, PlacedError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::Reject,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_buffered_comment_events: usize::MAX,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (location, message) = placed(&error);
        at(location, message)
    })
}

/// Where and what an error is. The place has its own form here, and is not in the message.
pub(crate) fn placed(error: &serde_saphyr::Error) -> (Location, String) {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let text = error.render_with_options(serde_saphyr::render_options! {
        formatter: &serde_saphyr::UserMessageFormatter,
        snippets: serde_saphyr::SnippetMode::Off,
    });
    let message = match text.rfind(" at line ") {
        Some(at) => text.get(..at).unwrap_or_default(),
        None => &text,
    };
    (location, plain(message))
}

/// A message of the deserializer in the words of people who write YAML.
fn plain(message: &str) -> String {
    message
        .replace("unknown field", "unknown key")
        .replace("unknown variant", "unknown value")
        .replace("expected sequence start", "expected a list")
        .replace("expected mapping start", "expected keys and values")
}

/// An error at a place in YAML.
pub(crate) fn at(location: Location, message: impl Into<String>) -> PlacedError {
    PlacedError::at(location.line(), location.column(), message)
}

/// From a place in YAML to the end of its line; `None` where the place is not known.
pub(crate) fn span(text: &str, location: Location) -> Option<Span> {
    let line = usize::try_from(location.line().checked_sub(1)?).ok()?;
    let column = usize::try_from(location.column().checked_sub(1)?).ok()?;
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(line).map(str::len).sum();
    let line = lines.next()?.trim_end();
    let start = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let offset = |at: usize| u32::try_from(before + at).ok();
    Some(Span::new(offset(start)?, offset(line.len())?))
}
