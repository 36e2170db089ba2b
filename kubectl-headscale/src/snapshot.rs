//! Snapshots of users and nodes, from JSON or YAML.

use std::path::Path;
use std::sync::Arc;

use headscale_acl::rules::Rule;
use headscale_acl::{Defects, Finding, Tailnet, defects};
use serde_json::Value;

use crate::convert::value::Exact;
use crate::error::CommandError;
use crate::input::read_file_up_to;
use crate::locate::{self, Language};
use crate::report::FileReport;
use crate::severity::Levels;
use crate::yaml;

/// Snapshots larger than this are refused unread: 1 GiB, room for a million nodes as Headscale's
/// API prints them.
const MAX_BYTES: u64 = 1 << 30;

/// Users and nodes, and what is wrong with them.
pub(crate) struct Snapshot {
    /// The users and nodes.
    pub(crate) tailnet: Arc<Tailnet>,
    /// What is wrong with them; `None` where there is nothing.
    pub(crate) defects: Option<SnapshotDefects>,
}

/// What is wrong with a snapshot, with places in its text.
pub(crate) struct SnapshotDefects {
    name: String,
    text: Vec<u8>,
    findings: Vec<Finding>,
    uncounted: Vec<(&'static Rule, u64)>,
}

impl SnapshotDefects {
    /// The report on the snapshot's file with severities as `levels` say; `None` where nothing is
    /// left of it.
    pub(crate) fn report(self, levels: &Levels) -> Option<FileReport> {
        let Self { name, text, findings, uncounted } = self;
        let (findings, uncounted) = (levels.apply(findings), levels.counts(&uncounted));
        let found = !findings.is_empty() || uncounted.total() > 0;
        found.then_some(FileReport { name, text, findings, uncounted })
    }
}

/// Reads the snapshot in `file`, relative to `cwd`.
///
/// # Errors
///
/// When the file cannot be read, is neither JSON nor YAML, or does not hold users and nodes.
pub(crate) fn read(cwd: &Path, file: &Path) -> Result<Snapshot, CommandError> {
    let name = file.display().to_string();
    let bytes = read_file_up_to(MAX_BYTES, &cwd.join(file), &name)?;
    from_text(name, bytes)
}

/// Reads the snapshot in a text that is called `name`.
///
/// # Errors
///
/// When the text is neither JSON nor YAML, or does not hold users and nodes.
pub(crate) fn from_text(name: String, bytes: Vec<u8>) -> Result<Snapshot, CommandError> {
    let invalid = |message: String| {
        CommandError::usage(format!("cannot read the tailnet {name}: {message}")).hint(
            "it is JSON or YAML with `users` and `nodes`, as Headscale's API and its `users list` \
             and `nodes list` print them",
        )
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| invalid(error.to_string()))?;
    let (value, language) = parse(text).map_err(invalid)?;
    let tailnet = Tailnet::from_value(&value).map_err(|error| invalid(error.to_string()))?;
    drop(value);
    let Defects { kept, uncounted } = defects(&tailnet);
    if kept.is_empty() {
        return Ok(Snapshot { tailnet: Arc::new(tailnet), defects: None });
    }
    let spans = locate::spans(text, language, kept.iter().map(|defect| &*defect.path));
    let placed = kept.into_iter().zip(spans);
    let mut findings: Vec<Finding> =
        placed.map(|(defect, span)| Finding { span, ..defect.finding }).collect();
    findings.sort_by_key(|finding| finding.span);
    Ok(Snapshot {
        tailnet: Arc::new(tailnet),
        defects: Some(SnapshotDefects { name, text: bytes, findings, uncounted }),
    })
}

fn parse(text: &str) -> Result<(Value, Language), String> {
    let flow = text.trim_start().starts_with(['{', '[']);
    // A name that stands twice would hide all that stands under the first.
    let json = match serde_json::from_str(text) {
        Ok(Exact(value)) => return Ok((value, Language::Json)),
        Err(error) => error,
    };
    match yaml::read(text) {
        Ok(value) => Ok((value, Language::Yaml)),
        Err(_) if flow => Err(json.to_string()),
        Err(yaml) => Err(yaml.to_string()),
    }
}
