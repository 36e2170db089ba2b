//! Snapshots of users and nodes, from JSON or YAML.

use std::path::Path;

use headscale_acl::Tailnet;
use serde_json::Value;

use crate::error::CommandError;
use crate::input::read_file;
use crate::yaml;

/// Reads the snapshot in `file`, relative to `cwd`.
///
/// # Errors
///
/// When the file cannot be read, is neither JSON nor YAML, or does not hold users and nodes.
pub(crate) fn read(cwd: &Path, file: &Path) -> Result<Tailnet, CommandError> {
    let name = file.display().to_string();
    let bytes = read_file(&cwd.join(file), &name)?;
    let invalid = |message: String| {
        CommandError::usage(format!("cannot read the tailnet {name}: {message}")).hint(
            "it is JSON or YAML with `users` and `nodes`, as Headscale's API and its `users list` \
             and `nodes list` print them",
        )
    };
    let value = parse(&bytes).map_err(&invalid)?;
    Tailnet::from_value(&value).map_err(|error| invalid(error.to_string()))
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let flow = text.trim_start().starts_with(['{', '[']);
    let json = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    yaml::read(text).map_err(|yaml| if flow { json.to_string() } else { yaml.to_string() })
}
