//! What a validator or renderer tells of itself.

use headscale_acl::Severity;
use serde::Serialize;
use serde_json::Value;

use crate::bindings::headscale::policy::types as wit;
use crate::schema::Schema;
use crate::text;

/// Findings of rules that a plugin did not declare stand under this id.
pub(crate) const UNDECLARED: &str = "undeclared";

/// How many rules there may be, and annotations.
const MOST_RULES: usize = 1_000;

/// What something that judges or writes policies is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// As in a DNS label: `guardrails`.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line: what it is for.
    pub summary: String,
    /// SPDX expression.
    pub license: String,
    /// Where people read more.
    pub homepage: Option<String>,
    /// The rules that its findings name.
    pub rules: Vec<Rule>,
    /// JSON Schema of its settings, if it takes any.
    pub settings_schema: Option<Value>,
    /// JSON Schema of a renderer's parameters, if it takes any.
    pub params_schema: Option<Value>,
    /// What else is to be known, by name.
    pub annotations: Vec<(String, String)>,
}

/// What the findings of one kind have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// As findings name it: a plugin's is `PLUGIN/ID`.
    pub id: String,
    /// One line: what is wrong.
    pub summary: String,
    /// Severity of its findings where they name none.
    pub default_severity: Severity,
    /// Why it matters, and what to do; Markdown.
    pub help: String,
    /// Words to filter by.
    pub tags: Vec<String>,
}

/// A descriptor with its schemas compiled.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) descriptor: Descriptor,
    pub(crate) settings: Option<Schema>,
    pub(crate) params: Option<Schema>,
}

impl Described {
    /// Checks what a plugin tells of itself.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn of(told: wit::Descriptor, validates: bool) -> Result<Self, String> {
        let name = told.name;
        if !is_label(&name) {
            let name = text::line(&name, 100);
            return Err(format!(
                "the name {name:?} is none: expected lower-case letters, digits and `-`, at most \
                 63, first a letter"
            ));
        }
        if !is_version(&told.version) {
            let version = text::line(&told.version, 100);
            return Err(format!("the version {version:?} is not semantic: expected such as 1.2.0"));
        }
        if told.rules.len() > MOST_RULES || told.annotations.len() > MOST_RULES {
            return Err(format!("there are more than {MOST_RULES} rules or annotations"));
        }
        if validates && told.rules.is_empty() {
            return Err("a validator has at least one rule".to_owned());
        }
        let mut rules: Vec<Rule> = Vec::with_capacity(told.rules.len());
        let mut ids = std::collections::HashSet::new();
        for rule in told.rules {
            let shown = text::line(&rule.id, 100);
            if !is_label(&rule.id) {
                return Err(format!("the rule id {shown:?} is not in kebab-case"));
            }
            if rule.id == UNDECLARED {
                return Err(format!("the rule id {shown:?} is the host's own"));
            }
            if !ids.insert(rule.id.clone()) {
                return Err(format!("the rule id {shown:?} stands there twice"));
            }
            rules.push(Rule {
                id: format!("{name}/{}", rule.id),
                summary: text::line(&rule.summary, 500),
                default_severity: severity(rule.default_severity),
                help: text::lines(&rule.help, 16 << 10),
                tags: rule.tags.iter().take(50).map(|tag| text::line(tag, 100)).collect(),
            });
        }
        let schema = |name: &str, text: Option<String>| match text {
            None => Ok((None, None)),
            Some(text) => match Schema::parse(&text) {
                Ok((schema, value)) => Ok((Some(schema), Some(value))),
                Err(why) => Err(format!("its {name} {why}")),
            },
        };
        let (settings, settings_schema) = schema("settings-schema", told.settings_schema)?;
        let (params, params_schema) = schema("params-schema", told.params_schema)?;
        let annotations = told.annotations.iter();
        let descriptor = Descriptor {
            name,
            version: told.version,
            summary: text::line(&told.summary, 500),
            license: text::line(&told.license, 200),
            homepage: told.homepage.map(|homepage| text::line(&homepage, 500)),
            rules,
            settings_schema,
            params_schema,
            annotations: annotations
                .map(|(name, value)| (text::line(name, 200), text::lines(value, 4 << 10)))
                .collect(),
        };
        Ok(Self { descriptor, settings, params })
    }
}

pub(crate) const fn severity(severity: wit::Severity) -> Severity {
    match severity {
        wit::Severity::Error => Severity::Error,
        wit::Severity::Warning => Severity::Warning,
        wit::Severity::Info => Severity::Info,
    }
}

/// As in a DNS label, and first a letter.
fn is_label(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(word)
}

/// `MAJOR.MINOR.PATCH`, perhaps with a pre-release and a build.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let numbers: Vec<&str> = core.split('.').collect();
    let rest = text.get(core.len()..).unwrap_or_default();
    text.len() <= 100
        && numbers.len() == 3
        && numbers.into_iter().all(number)
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_plain() {
        for (label, good) in [
            ("a", true),
            ("no-root-1", true),
            ("", false),
            ("-a", false),
            ("a--b", false),
            ("A", false),
            ("1a", false),
            ("a/b", false),
        ] {
            assert_eq!(is_label(label), good, "{label}");
        }
        for (version, good) in [
            ("1.2.3", true),
            ("0.1.0-rc.1+5", true),
            ("1.2", false),
            ("01.2.3", false),
            ("1.2.3 ", false),
            ("", false),
        ] {
            assert_eq!(is_version(version), good, "{version}");
        }
    }
}
