//! The policy.

use std::collections::BTreeSet;
use std::fs;

use headscale_acl::hujson::{Document, minimize};
use headscale_acl::{Finding, LineIndex, Options, Severity, Source, Tailnet, check, check_syntax};
use serde_json::{Value, json};

use super::State;
use super::stored::Policy;
use crate::failure::{Code, Failure};
use crate::moment::Moment;
use crate::options::{PolicyMode, Version};
use crate::render::Render;

/// The rules of findings that are failed tests of the policy itself.
const TESTS: [&str; 2] = ["test-failed", "ssh-test-failed"];

/// A policy, and since when it is the policy where that is known.
pub(crate) struct KeptPolicy {
    pub(crate) text: String,
    pub(crate) updated_at: Option<Moment>,
}

impl State {
    /// The policy, from where the mode says.
    pub(crate) fn policy(&self) -> Result<KeptPolicy, Failure> {
        if self.policy_mode == PolicyMode::Database {
            let Some(policy) = &self.data.policy else {
                let (doing, why) = ("loading ACL from database", "acl policy not found");
                return Err(Failure::below(500, doing, why).message(format!("{doing}: {why}")));
            };
            let (text, updated_at) = (policy.text.clone(), Some(policy.updated_at));
            return Ok(KeptPolicy { text, updated_at });
        }
        let path = self.policy_path.as_deref().unwrap_or_else(|| "".as_ref()).display();
        let text = self.policy_path.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let text = text.ok_or_else(|| {
            let doing = format!("reading policy from path \"{path}\"");
            let why = format!("open {path}: no such file or directory");
            let message = format!("{doing}: {why}");
            Failure::below(500, doing, why).message(message)
        })?;
        Ok(KeptPolicy { text, updated_at: None })
    }

    /// Replaces the policy in the database.
    pub(crate) fn set_policy(&mut self, text: &str) -> Result<KeptPolicy, Failure> {
        if self.policy_mode != PolicyMode::Database {
            let words = "update is disabled for modes other than 'database'";
            return Err(Failure::below(400, words, words));
        }
        self.parse_policy(text).map_err(|why| {
            let message = format!("setting policy: {why}");
            Failure::below(400, "setting policy", why).message(message)
        })?;
        let updated_at = self.now();
        self.change(|data| {
            data.policy = Some(Policy { text: text.to_owned(), updated_at });
            Ok(())
        })?;
        Ok(KeptPolicy { text: text.to_owned(), updated_at: Some(updated_at) })
    }

    /// Whether Headscale would take a policy.
    pub(crate) fn check_policy(&self, text: &str) -> Result<(), Failure> {
        self.parse_policy(text)
            .map_err(|why| Failure::below(400, why.clone(), why).code(Code::InvalidArgument))
    }

    /// The tags that the policy in force knows.
    pub(super) fn policy_tags(&self) -> BTreeSet<String> {
        let Ok(policy) = self.policy() else { return BTreeSet::new() };
        let document = Document::parse(policy.text.as_bytes());
        let value: Value = serde_json::from_str(&minimize(&document)).unwrap_or_default();
        let owners = value.get("tagOwners").and_then(Value::as_object);
        owners.map(|owners| owners.keys().cloned().collect()).unwrap_or_default()
    }

    /// Fails with what is wrong, in Headscale's words as far as we have them. The policy's own tests
    /// are run, with the users and nodes that there are.
    fn parse_policy(&self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        let version = match self.version {
            Version::V0_28 => headscale_acl::Version::V0_28,
            Version::V0_29 => headscale_acl::Version::V0_29,
            Version::V0_30 => headscale_acl::Version::V0_30,
        };
        let is_refusal = |finding: &&Finding| {
            finding.severity == Severity::Error && finding.source == Source::Headscale
        };
        let unreadable = check_syntax(&Document::parse(text.as_bytes()));
        if let Some(finding) = unreadable.findings.iter().find(is_refusal) {
            let at = LineIndex::new(text.as_bytes());
            let at = at.position(finding.span.map_or(0, |span| span.start));
            let (line, column, words) = (at.line, at.column, &finding.message);
            if words.starts_with("duplicate object member name") {
                return Err(format!(
                    "parsing policy: parsing policy from bytes: jsontext: {words}"
                ));
            }
            let words = format!("hujson: line {line}, column {column}: {words}");
            return Err(format!("parsing policy: parsing HuJSON: {words}"));
        }
        let tailnet = self.tailnet();
        let options =
            Options { versions: &[version], tailnet: tailnet.as_ref(), ..Options::default() };
        let checked = check(text.as_bytes(), &options);
        let is_test = |finding: &&Finding| TESTS.contains(&&*finding.rule);
        let refusals: Vec<&Finding> = checked.findings.iter().filter(is_refusal).collect();
        match refusals.iter().find(|finding| !is_test(finding)) {
            Some(finding) => Err(format!("parsing policy: {}", finding.message)),
            None if refusals.is_empty() => Ok(()),
            None => {
                let failed: Vec<&str> = refusals.iter().map(|f| f.message.as_str()).collect();
                Err(format!("test(s) failed:\n{}", failed.join("\n")))
            }
        }
    }

    fn tailnet(&self) -> Option<Tailnet> {
        let render = Render::of(self);
        let users = self.data.users.iter().map(|user| render.user(user));
        let nodes = self.data.nodes.iter().map(|node| render.listed_node(node));
        let snapshot = json!({
            "users": users.collect::<Vec<_>>(),
            "nodes": nodes.collect::<Vec<_>>(),
        });
        Tailnet::from_value(&snapshot).ok()
    }
}
