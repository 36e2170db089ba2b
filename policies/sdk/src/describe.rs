//! Short ways to descriptors, rules and findings.

use crate::{Descriptor, Edit, Finding, Fix, Related, Rule, Severity};

impl Descriptor {
    /// A plugin without rules and schemas, under Apache-2.0. The name is a DNS label, the version a
    /// semantic one, the summary one line.
    #[must_use]
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            license: "Apache-2.0".to_owned(),
            homepage: None,
            rules: Vec::new(),
            settings_schema: None,
            params_schema: None,
            annotations: Vec::new(),
        }
    }

    /// With another license: an SPDX expression.
    #[must_use]
    pub fn license(self, license: &str) -> Self {
        Self { license: license.to_owned(), ..self }
    }

    /// With a page where people read more.
    #[must_use]
    pub fn homepage(self, homepage: &str) -> Self {
        Self { homepage: Some(homepage.to_owned()), ..self }
    }

    /// With one more rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// With the JSON Schema (2020-12) of the settings.
    #[must_use]
    pub fn settings_schema(self, schema: &str) -> Self {
        Self { settings_schema: Some(schema.to_owned()), ..self }
    }

    /// With the JSON Schema (2020-12) of the parameters.
    #[must_use]
    pub fn params_schema(self, schema: &str) -> Self {
        Self { params_schema: Some(schema.to_owned()), ..self }
    }

    /// With one more annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Rule {
    /// A rule without help and tags. The id is in kebab-case, the summary one line.
    #[must_use]
    pub fn new(id: &str, default_severity: Severity, summary: &str) -> Self {
        Self {
            id: id.to_owned(),
            summary: summary.to_owned(),
            default_severity,
            help: String::new(),
            tags: Vec::new(),
        }
    }

    /// With a text on why it matters and what to do: Markdown.
    #[must_use]
    pub fn help(self, help: &str) -> Self {
        Self { help: help.to_owned(), ..self }
    }

    /// With one more word to filter by.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }
}

impl Finding {
    /// A finding of a rule, at a place, with a message: a sentence without a full stop. It has the
    /// severity of the rule.
    #[must_use]
    pub fn new(rule: &str, pointer: &str, message: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            severity: None,
            message: message.into(),
            pointer: pointer.to_owned(),
            related: Vec::new(),
            fixes: Vec::new(),
        }
    }

    /// With another severity than that of the rule.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    /// With another place that it is about.
    #[must_use]
    pub fn related(mut self, pointer: &str, message: impl Into<String>) -> Self {
        self.related.push(Related { pointer: pointer.to_owned(), message: message.into() });
        self
    }

    /// With a repair that changes nothing but what the finding is about.
    #[must_use]
    pub fn safe_fix(self, title: &str, edits: Vec<Edit>) -> Self {
        self.fix(title, true, edits)
    }

    /// With a repair that somebody has to decide on.
    #[must_use]
    pub fn unsafe_fix(self, title: &str, edits: Vec<Edit>) -> Self {
        self.fix(title, false, edits)
    }

    fn fix(mut self, title: &str, safe: bool, edits: Vec<Edit>) -> Self {
        self.fixes.push(Fix { title: title.to_owned(), safe, edits });
        self
    }
}
