//! `-o`

use serde_json::Value;

use super::super::targets::Target;
use super::list::Listed;
use crate::error::CommandError;
use crate::kubernetes::{Resource, print};

/// A format of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

impl Format {
    /// Reads the value of `-o`.
    ///
    /// # Errors
    ///
    /// kubectl's, where it is none of ours.
    pub(super) fn parse(text: &str) -> Result<Self, CommandError> {
        Ok(match text {
            "" | "table" => Self::Table,
            "wide" => Self::Wide,
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            "name" => Self::Name,
            other => {
                let message = format!(
                    "unable to match a printer suitable for the output format {other:?}, allowed \
                     formats are: json,name,table,wide,yaml"
                );
                return Err(CommandError::failed(message)
                    .hint("`kubectl get` of the same objects has all formats of kubectl"));
            }
        })
    }

    /// The text of all objects; `targets` says whether one was asked for or some.
    pub(super) fn objects(
        self,
        listed: Vec<Vec<Listed>>,
        managed_fields: bool,
        targets: &[Target],
    ) -> Result<String, CommandError> {
        let one = matches!(targets, [target] if target.names.len() == 1);
        let mut objects: Vec<Value> =
            listed.into_iter().flatten().flat_map(Listed::objects).collect();
        if !managed_fields {
            objects = objects.into_iter().map(print::without_managed_fields).collect();
        }
        if self == Self::Name {
            return Ok(objects.iter().map(name).collect());
        }
        match objects.pop() {
            // It was not there.
            None if one => Ok(String::new()),
            Some(only) if one => Ok(self.object(&only)),
            last => {
                objects.extend(last);
                Ok(self.object(&print::list(&objects)))
            }
        }
    }

    /// The text of one object, for programs.
    pub(super) fn object(self, object: &Value) -> String {
        match self {
            Self::Yaml => print::yaml(object),
            Self::Name => name(object),
            _ => print::json(object),
        }
    }
}

/// `headscaleuser.headscale.infrado.cloud/alice`, and a newline.
fn name(object: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text(object.get("kind"));
    let kind = Resource::of_kind(&kind).map_or(kind, Resource::qualified);
    let name = text(object.get("metadata").and_then(|metadata| metadata.get("name")));
    format!("{kind}/{name}\n")
}
