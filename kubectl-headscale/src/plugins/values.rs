//! Settings and parameters of plugins, from files.

use std::path::Path;

use headscale_acl::LineIndex;
use headscale_policy_host::{Failure, PluginError};
use serde_json::{Map, Value};

use crate::error::CommandError;
use crate::input::read_file;
use crate::locate::{self, Language};
use crate::place::PlacedError;
use crate::yaml;

use super::plugin_error;

/// Settings or parameters of a plugin.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    /// The file, as the user wrote it, and its text; nothing where they come from no file of their
    /// own.
    file: Option<(String, String)>,
    /// An object.
    pub(crate) value: Value,
}

impl Values {
    /// Values without a file.
    pub(crate) fn new(value: Map<String, Value>) -> Self {
        Self { file: None, value: Value::Object(value) }
    }

    /// Reads a YAML or JSON file, relative to the current directory; an empty one has no values.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no object.
    pub(crate) fn read(cwd: &Path, file: &Path) -> Result<Self, CommandError> {
        let name = file.display().to_string();
        let bytes = read_file(&cwd.join(file), &name)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| CommandError::usage(format!("{name}: the file is not UTF-8")))?;
        let value: Option<Value> =
            yaml::read(&text).map_err(|error| CommandError::usage(error.in_file(&name)))?;
        match value.unwrap_or_else(|| Value::Object(Map::new())) {
            value @ Value::Object(_) => Ok(Self { file: Some((name, text)), value }),
            _ => Err(CommandError::usage(format!("{name}: expected keys and values"))),
        }
    }

    /// A plugin that did not do its work with these values; where they are wrong, by their places in
    /// the file.
    pub(crate) fn error(&self, error: &PluginError) -> CommandError {
        let (Some((name, text)), Failure::Values { what, problems }) = (&self.file, &error.failure)
        else {
            return plugin_error(error);
        };
        let pointers = problems.iter().map(|problem| problem.pointer.as_str());
        let spans = locate::pointers(text, Language::Yaml, pointers);
        let index = LineIndex::new(text.as_bytes());
        let mut message = format!("plugin {}: its {what} are wrong", error.plugin);
        for (problem, span) in problems.iter().zip(spans) {
            let placed = match span.map(|span| index.position(span.start)) {
                Some(at) => PlacedError::at(at.line.into(), at.column.into(), &*problem.message),
                None => PlacedError::whole(&*problem.message),
            };
            message.push_str("\n  ");
            message.push_str(&placed.in_file(name));
        }
        CommandError::plugin(message)
    }
}
