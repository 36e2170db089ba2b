//! Objects as kubectl prints them.

use clap::ValueEnum;
use serde_json::Value;

use crate::error::CommandError;

/// How an object that was made comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectFormat {
    /// Its kind and name.
    Name,
    /// As JSON.
    Json,
    /// As YAML.
    Yaml,
}

/// Whether a change is only tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// It is made.
    #[default]
    None,
    /// It is printed and nobody is asked.
    Client,
    /// The server judges it and keeps nothing.
    Server,
}

impl DryRun {
    /// What kubectl adds to its line about an object.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

/// `values` as YAML documents, each beginning with its kind.
pub(crate) fn yaml_documents(values: &[Value]) -> Result<String, CommandError> {
    let mut out = String::new();
    for value in values {
        if !out.is_empty() {
            out.push_str("---\n");
        }
        out.push_str(
            &serde_saphyr::to_string(value)
                .map_err(|error| CommandError::failed(error.to_string()))?,
        );
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_that_older_yaml_takes_for_something_else_are_quoted() {
        for text in ["0770", "no", "on", "y", "1e3", "0x1f", "12:30:45", "1_000", "~", "null", "="]
        {
            let yaml = yaml_documents(&[json!({ "a": text })]).expect("it is written");
            assert_eq!(yaml, format!("a: \"{text}\"\n"));
        }
        assert_eq!(
            yaml_documents(&[json!({ "a": 1 }), json!({})]).as_deref(),
            Ok("a: 1\n---\n{}\n")
        );
    }
}
