//! `.headscale-policy.yaml`: what to check, and how, for everyone who works on a repository.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use headscale_acl::{Source, Version, rules};
use headscale_policy_registry::ReferenceError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::error::CommandError;
use crate::input::read_file;
use crate::plugins::{Values, Wanted};
use crate::severity::{FailOn, Level, RuleLevel, changeable_id};
use crate::yaml;

/// The file's name.
pub(crate) const NAME: &str = ".headscale-policy.yaml";

/// The configuration of `kubectl headscale policy`, as the file has it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Stored {
    /// The Headscale versions that must take the policies: one, such as `"0.29"`, or a list.
    #[schemars(with = "VersionsSchema")]
    headscale_version: Versions,
    /// The policies: files and directories, relative to this file.
    files: Vec<PathBuf>,
    /// A snapshot of users and nodes, relative to this file.
    tailnet: Option<PathBuf>,
    /// The least severity that fails a run; `error` by default.
    fail_on: Option<FailOn>,
    /// Severities of rules by their id. Rules of Headscale itself cannot be changed.
    #[schemars(schema_with = "rules_schema")]
    rules: Rules,
    /// Suites of policy tests, relative to this file.
    suites: Vec<PathBuf>,
    /// Policy plugins, in the order in which their findings are told.
    plugins: Vec<Plugin>,
}

/// A policy plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Plugin {
    /// Where it is: a file, `builtin:NAME` or `oci://…@sha256:…`.
    #[schemars(with = "String")]
    r#ref: Spanned<String>,
    /// What it is told.
    #[serde(default)]
    params: serde_json::Map<String, serde_json::Value>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Versions")]
#[expect(dead_code, reason = "it only describes the schema")]
enum VersionsSchema {
    One(VersionName),
    Several(Vec<VersionName>),
}

#[derive(JsonSchema)]
#[schemars(rename = "Version")]
#[expect(dead_code, reason = "it only describes the schema")]
enum VersionName {
    #[serde(rename = "0.28")]
    V0_28,
    #[serde(rename = "0.29")]
    V0_29,
    #[serde(rename = "0.30")]
    V0_30,
}

/// The rules whose severity can be set, each with what it is about.
fn rules_schema(generator: &mut SchemaGenerator) -> Schema {
    let level = generator.subschema_for::<Level>();
    let mut properties = serde_json::Map::new();
    for rule in rules::all().filter(|rule| rule.source != Source::Headscale) {
        let mut schema = level.clone();
        schema.insert("description".to_owned(), rule.summary.into());
        properties.insert(rule.id.to_owned(), schema.to_value());
    }
    json_schema!({
        "type": "object",
        "properties": properties,
        "patternProperties": { "^[a-z0-9-]+/[a-z0-9-]+$": level.to_value() },
        "additionalProperties": false,
    })
}

/// One version or several.
#[derive(Debug, Default)]
struct Versions(Vec<Version>);

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VersionsVisitor)
    }
}

struct VersionsVisitor;

impl<'de> Visitor<'de> for VersionsVisitor {
    type Value = Versions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Headscale version such as \"0.29\", or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Versions, E> {
        let version = text.parse().map_err(E::custom)?;
        Ok(Versions(vec![version]))
    }

    /// Without quotes a version is a number in YAML: 0.30 and 0.3 are the same one.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Versions, E> {
        self.visit_str(&format!("{number:.2}"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Versions, A::Error> {
        let mut all = Vec::new();
        while let Some(Versions(some)) = seq.next_element()? {
            all.extend(some);
        }
        Ok(Versions(all))
    }
}

/// Levels by rule, with the place of each rule.
#[derive(Debug, Default)]
struct Rules(Vec<(Spanned<String>, Level)>);

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RulesVisitor)
    }
}

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = Rules;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rule ids with off, info, warning or error")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rules, A::Error> {
        let mut rules = Vec::new();
        while let Some(entry) = map.next_entry()? {
            rules.push(entry);
        }
        Ok(Rules(rules))
    }
}

/// A configuration, its paths as they are to be opened and shown.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file; `None` where there is none.
    pub(crate) file: Option<PathBuf>,
    /// `headscaleVersion`; empty where it is not given.
    pub(crate) versions: Vec<Version>,
    /// `files`
    pub(crate) files: Vec<PathBuf>,
    /// `tailnet`
    pub(crate) tailnet: Option<PathBuf>,
    /// `plugins`
    pub(crate) plugins: Vec<Wanted>,
    /// `suites`
    pub(crate) suites: Vec<PathBuf>,
    /// `failOn`
    pub(crate) fail_on: Option<FailOn>,
    /// `rules`
    pub(crate) rules: Vec<RuleLevel>,
}

impl Config {
    /// The configuration that counts in `cwd`: `file` if one is named, else the nearest one from
    /// `cwd` up to the root of the git repository, or of the file system outside of one. `None`
    /// where there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or says what is not known.
    pub(crate) fn find(cwd: &Path, file: Option<&Path>) -> Result<Option<Self>, CommandError> {
        if let Some(file) = file {
            return Self::read(cwd, file).map(Some);
        }
        let mut up = PathBuf::new();
        for directory in cwd.ancestors() {
            if fs::symlink_metadata(directory.join(NAME)).is_ok() {
                return Self::read(cwd, &up.join(NAME)).map(Some);
            }
            if fs::symlink_metadata(directory.join(".git")).is_ok() {
                break;
            }
            up.push("..");
        }
        Ok(None)
    }

    fn read(cwd: &Path, file: &Path) -> Result<Self, CommandError> {
        let bytes = read_file(&cwd.join(file), &file.display().to_string())?;
        Self::parse(&bytes, file)
    }

    /// Reads the configuration in `file`, relative to which its paths are.
    fn parse(yaml: &[u8], file: &Path) -> Result<Self, CommandError> {
        let name = &file.display().to_string();
        let base = file.parent().unwrap_or(Path::new(""));
        let text = std::str::from_utf8(yaml)
            .map_err(|_| CommandError::usage(format!("{name}: the file is not UTF-8")))?;
        let stored: Option<Stored> =
            yaml::read(text).map_err(|error| CommandError::usage(error.in_file(name)))?;
        let stored = stored.unwrap_or_default();
        let invalid = |location, message: String| {
            CommandError::usage(yaml::at(location, message).in_file(name))
        };
        let mut plugins = Vec::new();
        for Plugin { r#ref, params } in stored.plugins {
            let reference = r#ref.value.parse().map_err(|error: ReferenceError| {
                invalid(r#ref.referenced, error.to_string()).hint(error.help)
            })?;
            let settings = Values::new(params);
            plugins.push(Wanted { reference, base: base.to_owned(), settings });
        }
        let mut rules = Vec::new();
        for (id, level) in stored.rules.0 {
            let id = changeable_id(&id.value)
                .map_err(|error| invalid(id.referenced, error.to_string()))?;
            rules.push(RuleLevel { id, level });
        }
        Ok(Self {
            file: Some(file.to_owned()),
            versions: stored.headscale_version.0,
            files: stored.files.iter().map(|path| base.join(path)).collect(),
            plugins,
            suites: stored.suites.iter().map(|path| base.join(path)).collect(),
            tailnet: stored.tailnet.map(|path| base.join(path)),
            fail_on: stored.fail_on,
            rules,
        })
    }
}

/// The JSON Schema of `.headscale-policy.yaml`.
#[must_use]
pub fn config_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Stored);
    schema.insert("title".to_owned(), NAME.into());
    schema.to_value()
}
