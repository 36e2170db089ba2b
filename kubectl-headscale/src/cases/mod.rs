//! Cases of policy plugins: policies with the findings that a plugin must have.

mod run;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use headscale_acl::{Severity, Tailnet, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use crate::convert::value::Exact;
use crate::error::CommandError;
use crate::input::read_file;
use crate::yaml;

pub(crate) use run::Outcome;

/// Cases of a policy plugin.
///
/// Without `cases` nothing would be tested, which is an error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The cases.
    #[schemars(with = "Vec<StoredCase>")]
    cases: Vec<Spanned<StoredCase>>,
}

/// One case: a policy to judge, or parameters to render.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StoredCase {
    /// What the case is about; unique.
    name: String,
    /// The policy, as HuJSON. Headscale must take it.
    policy: Option<String>,
    /// Settings of the validator.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Users and nodes, as `--tailnet` takes them; made up from the policy without them.
    #[schemars(with = "Option<Map<String, Value>>")]
    tailnet: Option<Exact>,
    /// The Headscale version of the policy.
    #[schemars(with = "Option<String>")]
    headscale_version: Option<String>,
    /// All findings that there must be; another one fails the case.
    #[schemars(with = "Option<Vec<Expectation>>")]
    expect: Option<Vec<Spanned<Expectation>>>,
    /// Parameters of the renderer, in place of `policy`.
    params: Option<Map<String, Value>>,
    /// All that the renderer must write.
    renders: Option<String>,
    /// A part of the error that there must be, in place of `expect` or `renders`.
    error: Option<String>,
}

/// A finding that must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expectation {
    /// Its rule, with or without the plugin's name before it.
    rule: String,
    /// Where, as a JSON pointer.
    pointer: Option<String>,
    /// How bad.
    #[schemars(with = "Option<String>")]
    severity: Option<Severity>,
    /// A part of the message.
    message: Option<String>,
}

/// The JSON Schema of files of cases.
#[must_use]
pub fn cases_schema() -> Value {
    let mut schema = schemars::schema_for!(Stored);
    schema.insert("title".to_owned(), "Cases of a policy plugin".into());
    schema.to_value()
}

/// A file of cases.
pub(crate) struct Cases {
    /// Its name as the user wrote it.
    pub(crate) name: String,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    location: Location,
    given: Given,
    expected: Expected,
}

enum Given {
    Policy { text: String, settings: Value, tailnet: Option<Arc<Tailnet>>, version: Version },
    Params(Value),
}

enum Expected {
    Findings(Vec<Spanned<Expectation>>),
    Text(String),
    Error(String),
}

impl Cases {
    /// Reads the cases in `file`, relative to `cwd`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, has no cases, or one that cannot be run.
    pub(crate) fn read(cwd: &Path, file: &Path) -> Result<Self, CommandError> {
        let name = file.display().to_string();
        let bytes = read_file(&cwd.join(file), &name)?;
        let invalid = |error: crate::place::PlacedError| CommandError::usage(error.in_file(&name));
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| CommandError::usage(format!("{name}: the file is not UTF-8")))?;
        let stored: Stored = yaml::read(text).map_err(invalid)?;
        if stored.cases.is_empty() {
            let error =
                CommandError::usage(format!("{name}: there are no cases, so nothing is tested"));
            return Err(error.hint("write a policy under `cases`, and the findings it must have"));
        }
        let mut names = BTreeSet::new();
        let mut cases = Vec::new();
        for Spanned { value: stored, referenced: location, .. } in stored.cases {
            let case_name = stored.name.clone();
            let case = stored
                .case(location)
                .map_err(|why| invalid(yaml::at(location, format!("case {case_name:?}: {why}"))))?;
            if !names.insert(case_name.clone()) {
                let message = format!("there are two cases {case_name:?}");
                return Err(invalid(yaml::at(location, message)));
            }
            cases.push(case);
        }
        Ok(Self { name, cases })
    }
}

impl StoredCase {
    fn case(self, location: Location) -> Result<Case, String> {
        let Self {
            name,
            policy,
            settings,
            tailnet,
            headscale_version,
            expect,
            params,
            renders,
            error,
        } = self;
        let given = match (policy, params) {
            (Some(text), None) => {
                let tailnet = tailnet
                    .map(|Exact(value)| Tailnet::from_value(&value).map(Arc::new))
                    .transpose()
                    .map_err(|error| format!("`tailnet`: {error}"))?;
                let version = headscale_version.map(|version| version.parse::<Version>());
                let version = version.transpose().map_err(|error| error.to_string())?;
                Given::Policy {
                    text,
                    settings: Value::Object(settings),
                    tailnet,
                    version: version.unwrap_or(Version::DEFAULT),
                }
            }
            (None, Some(params)) => {
                if tailnet.is_some() || headscale_version.is_some() || !settings.is_empty() {
                    return Err("`settings`, `tailnet` and `headscaleVersion` go with a `policy`"
                        .to_owned());
                }
                Given::Params(Value::Object(params))
            }
            _ => return Err("expected either a `policy` to judge or `params` to render".to_owned()),
        };
        let expected = match (expect, renders, error, &given) {
            (Some(expect), None, None, Given::Policy { .. }) => Expected::Findings(expect),
            (None, Some(text), None, Given::Params(_)) => Expected::Text(text),
            (None, None, Some(error), _) => Expected::Error(error),
            (_, _, _, Given::Policy { .. }) => {
                return Err(
                    "with `policy` go either `expect`, all the findings, or `error`".to_owned()
                );
            }
            (_, _, _, Given::Params(_)) => {
                return Err(
                    "with `params` go either `renders`, the whole text, or `error`".to_owned()
                );
            }
        };
        Ok(Case { name, location, given, expected })
    }
}
