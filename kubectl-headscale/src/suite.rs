//! Suites of policy tests, from YAML or HuJSON.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headscale_acl::Tailnet;
use headscale_acl::engine::Expect;
use headscale_acl::hujson::{Document, standardize};
use headscale_acl::suite::{Entry, EntryKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::error::CommandError;
use crate::input::read_file;
use crate::snapshot::{self, SnapshotDefects};
use crate::yaml;

/// A suite, as the file has it: what policies must and must not allow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    /// The version of this format: 1.
    #[schemars(schema_with = "version_schema")]
    version: Spanned<u64>,
    /// Users and nodes for this suite, relative to this file; else those of the run, or nodes made
    /// up from the policy.
    tailnet: Option<PathBuf>,
    /// Examples of what is and is not allowed.
    #[serde(default)]
    #[schemars(with = "Vec<Test>")]
    tests: Vec<Spanned<Test>>,
    /// What holds whatever else the policy says.
    #[serde(default)]
    #[schemars(with = "Vec<Invariant>")]
    invariants: Vec<Spanned<Invariant>>,
}

fn version_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": 1 })
}

/// One test.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Test {
    /// What to call it.
    name: Option<String>,
    /// Who connects: a user, group, tag, host, autogroup, node or address.
    from: String,
    /// To whom, with ports as in `acls`: `tag:web:443`. A `deny` may leave them out.
    to: String,
    /// By which protocol. Without one an `accept` is about TCP, and a `deny` about all.
    proto: Option<Text>,
    /// Whether it is to be let through.
    expect: Verdict,
    /// Whether all sources and destinations are meant, or any.
    #[serde(default, rename = "match")]
    matching: Match,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accept,
    Deny,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Match {
    #[default]
    All,
    Any,
}

/// One invariant: exactly one of `never`, `always` and `only`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Invariant {
    /// What to call it.
    name: Option<String>,
    /// By which protocol, as in a test.
    proto: Option<Text>,
    /// Nobody of `from` reaches anyone of `to`.
    never: Option<Ends>,
    /// All of `from` reach all of `to`.
    always: Option<Ends>,
    /// Nobody but `from` reaches anyone of `to`.
    only: Option<OnlyEnds>,
}

/// From whom to whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ends {
    /// Who connects.
    from: String,
    /// To whom, with or without ports.
    to: String,
}

/// To whom, and who may.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnlyEnds {
    /// To whom, with or without ports.
    to: String,
    /// Who may connect.
    from: Vec<String>,
}

/// A name, or a number.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(u8),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        }
    }
}

/// A suite that was read.
pub(crate) struct Suite {
    /// Its name as the user wrote it.
    pub(crate) name: String,
    /// What the file holds.
    pub(crate) text: Vec<u8>,
    /// Tests first, then invariants.
    pub(crate) entries: Vec<Entry>,
    /// Its own tailnet, if it has one.
    pub(crate) tailnet: Option<Arc<Tailnet>>,
    /// What is wrong with that.
    pub(crate) defects: Option<SnapshotDefects>,
}

impl Suite {
    /// Reads the suite in `file`, relative to `cwd`, with its tailnet.
    ///
    /// # Errors
    ///
    /// When one of the files cannot be read, or says what is not known.
    pub(crate) fn read(cwd: &Path, file: &Path) -> Result<Self, CommandError> {
        let name = file.display().to_string();
        let bytes = read_file(&cwd.join(file), &name)?;
        let invalid = |error: crate::place::PlacedError| CommandError::usage(error.in_file(&name));
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| CommandError::usage(format!("{name}: the file is not UTF-8")))?;
        // HuJSON without its comments is YAML too, and every place stays what it is.
        let document = Document::parse(text.as_bytes());
        let is_hujson = document.is_complete() && document.errors().is_empty();
        let plain = if is_hujson { standardize(&document) } else { text.to_owned() };
        let stored: Stored = yaml::read(&plain).map_err(invalid)?;
        if stored.version.value != 1 {
            let found = stored.version.value;
            let message = format!("a suite of version {found} is not known: expected 1");
            return Err(invalid(yaml::at(stored.version.referenced, message)));
        }
        let tests = stored.tests.into_iter().map(|test| {
            let Spanned { value, referenced, .. } = test;
            Ok(value.entry(text, referenced))
        });
        let invariants = stored.invariants.into_iter().map(|invariant| {
            let Spanned { value, referenced, .. } = invariant;
            value.entry(text, referenced).map_err(|message| invalid(yaml::at(referenced, message)))
        });
        let entries = tests.chain(invariants).collect::<Result<_, _>>()?;
        let (tailnet, defects) = match stored.tailnet {
            Some(tailnet) => {
                let base = file.parent().unwrap_or(Path::new(""));
                let snapshot = snapshot::read(cwd, &base.join(tailnet))
                    .map_err(|error| error.hint(format!("it is the `tailnet` of {name}")))?;
                (Some(snapshot.tailnet), snapshot.defects)
            }
            None => (None, None),
        };
        Ok(Self { name, text: bytes, entries, tailnet, defects })
    }
}

impl Test {
    fn entry(self, text: &str, location: Location) -> Entry {
        let expect = match (self.expect, self.matching) {
            (Verdict::Accept, Match::All) => Expect::All,
            (Verdict::Accept, Match::Any) => Expect::Any,
            (Verdict::Deny, Match::All) => Expect::None,
            (Verdict::Deny, Match::Any) => Expect::NotAll,
        };
        Entry {
            kind: EntryKind::Test,
            name: self.name,
            from: vec![self.from],
            to: self.to,
            protocol: self.proto.map(String::from),
            expect,
            span: yaml::span(text, location),
        }
    }
}

impl Invariant {
    fn entry(self, text: &str, location: Location) -> Result<Entry, &'static str> {
        let (kind, expect, from, to) = match (self.never, self.always, self.only) {
            (Some(ends), None, None) => (EntryKind::Never, Expect::None, vec![ends.from], ends.to),
            (None, Some(ends), None) => (EntryKind::Always, Expect::All, vec![ends.from], ends.to),
            (None, None, Some(ends)) => (EntryKind::Only, Expect::Only, ends.from, ends.to),
            _ => return Err("an invariant has exactly one of `never`, `always` and `only`"),
        };
        let (name, protocol) = (self.name, self.proto.map(String::from));
        Ok(Entry { kind, name, from, to, protocol, expect, span: yaml::span(text, location) })
    }
}

/// The JSON Schema of suites.
#[must_use]
pub fn suite_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Stored);
    schema.insert("title".to_owned(), "Suite of policy tests".into());
    schema.to_value()
}
