//! What the policy of Headscale must be, reckoned without the code of the operator that makes it.

use std::collections::{BTreeMap, BTreeSet};

use headscale_acl::hujson::{Document, minimize};
use serde_json::{Value, json};

use crate::random::Random;

/// The tags that there are.
pub(crate) const TAGS: [&str; 3] = ["tag:a", "tag:t0", "tag:t1"];
/// What approvers are for, and how Go prints it.
const PREFIXES: [(&str, &str); 4] = [
    ("10.1.0.0/16", "10.1.0.0/16"),
    ("10.2.3.4/16", "10.2.0.0/16"),
    ("192.168.7.0/24", "192.168.7.0/24"),
    ("fd00::1/64", "fd00::/64"),
];
/// Policies that Headscale must not get, in each version.
const WRONG: [&str; 5] = [
    "{",
    "{\"aclz\": []}\n",
    "{\"acls\": [{\"action\": \"accept\", \"src\": [\"group:nobody\"], \"dst\": [\"*:*\"]}]}\n",
    "{\"acls\": [], \"sshTests\": [{\"src\": \"*\", \"dst\": [\"bob@\"], \"deny\": [\"root\"]}]}\n",
    "",
];

/// A policy as somebody writes it.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// What it says; `None` where Headscale must not have it, whatever is put in.
    pub(crate) value: Option<Value>,
}

impl Text {
    /// One that nobody wrote before. It may be about tags of which it does not say owners.
    pub(crate) fn good(number: usize, random: &mut Random) -> Self {
        let mut acls = vec![json!({
            "action": "accept", "src": ["alice@"], "dst": [format!("bob@:{}", 1000 + number)],
        })];
        if random.one_in(3) {
            acls.push(json!({ "action": "accept", "src": ["tag:a"], "dst": ["bob@:22"] }));
        }
        let mut value = json!({ "acls": acls });
        let owners = owners(random);
        if !owners.is_empty() {
            value["tagOwners"] = json!(owners);
        }
        if random.one_in(4) {
            value["autoApprovers"] = json!({ "exitNode": ["tag:a"] });
        }
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        let text = text.strip_suffix("\n}").expect("an object").to_owned();
        Self {
            text: format!("// The policy of number {number}.\n{text},\n}}\n"),
            value: Some(value),
        }
    }

    /// One that must be refused.
    pub(crate) fn wrong(random: &mut Random, may_be_empty: bool) -> Self {
        let which = WRONG.len() - usize::from(!may_be_empty);
        Self { text: WRONG[random.below(which)].to_owned(), value: None }
    }
}

/// Owners of some of the tags.
pub(crate) fn owners(random: &mut Random) -> BTreeMap<String, Vec<String>> {
    let some = TAGS.into_iter().filter(|_| !random.one_in(3));
    some.map(|tag| (tag.to_owned(), vec!["alice@".to_owned()])).collect()
}

/// What a text of Headscale says.
pub(crate) fn read(text: &str) -> Value {
    let document = Document::parse(text.as_bytes());
    assert!(document.errors().is_empty(), "Headscale has {text:?}");
    serde_json::from_str(&minimize(&document)).expect("JSON")
}

/// An approver.
#[derive(Clone, Debug, Default)]
pub(crate) struct Approver {
    /// Prefixes as Go prints them, each with a tag.
    routes: BTreeSet<(String, String)>,
    exit: BTreeSet<String>,
}

impl Approver {
    /// One, and the same as the spec of an object.
    pub(crate) fn some(random: &mut Random) -> (Self, Value) {
        let mut approver = Self::default();
        let mut routes = Vec::new();
        for _ in 0..random.below(3) {
            let (written, printed) = *random.pick(&PREFIXES).expect("some");
            let tag = *random.pick(&TAGS).expect("some");
            routes.push(json!({ "cidr": written, "tags": [tag] }));
            approver.routes.insert((printed.to_owned(), tag.to_owned()));
        }
        if routes.is_empty() || random.one_in(2) {
            approver.exit.insert((*random.pick(&TAGS).expect("some")).to_owned());
        }
        let spec = json!({ "routes": routes, "exitNodeTags": approver.exit });
        (approver, spec)
    }

    fn tags(&self) -> impl Iterator<Item = &String> {
        self.routes.iter().map(|(_, tag)| tag).chain(&self.exit)
    }

    /// All that it approves, a line for each.
    fn lines(&self) -> impl Iterator<Item = String> {
        let routes = self.routes.iter().map(|(prefix, tag)| format!("{prefix} {tag}"));
        routes.chain(self.exit.iter().map(|tag| format!("exit {tag}")))
    }
}

/// Where the text of a policy stands.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Inline(Text),
    ConfigMap,
}

/// A policy that is declared.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// Its age in seconds, and what decides between those of one second.
    pub(crate) rank: (i64, String),
    pub(crate) source: Source,
}

/// What the ConfigMap of policies is.
#[derive(Clone, Debug, Default)]
pub(crate) enum Map {
    #[default]
    Missing,
    WithoutKey,
    Has(Text),
}

/// What is declared of the policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) policies: Vec<Policy>,
    pub(crate) map: Map,
    pub(crate) inline: Option<Text>,
    pub(crate) owners: BTreeMap<String, Vec<String>>,
    pub(crate) approvers: BTreeMap<String, Approver>,
}

/// What is to become of the policy.
#[derive(Debug)]
pub(crate) enum Target {
    /// Nobody says anything: Headscale keeps what it has.
    Keeps,
    /// Headscale keeps what it has, for this reason.
    Refused(&'static str),
    /// Headscale has this.
    Is(Value),
}

impl Sources {
    /// The policy that counts: the oldest.
    pub(crate) fn first(&self) -> Option<&Policy> {
        self.policies.iter().min_by_key(|policy| &policy.rank)
    }

    /// The whole policy, where one is declared.
    fn base(&self) -> Result<Option<&Value>, &'static str> {
        let text = match (self.first().map(|policy| &policy.source), &self.inline) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err("PolicyConflict"),
            (None, Some(text)) | (Some(Source::Inline(text)), None) => text,
            (Some(Source::ConfigMap), None) => match &self.map {
                Map::Has(text) => text,
                Map::Missing | Map::WithoutKey => return Err("PolicySourceMissing"),
            },
        };
        text.value.as_ref().map(Some).ok_or("PolicyInvalid")
    }

    /// Whether a whole policy is declared, good or not.
    pub(crate) fn has_base(&self) -> bool {
        !matches!(self.base(), Ok(None))
    }

    /// What Headscale is to have where it has `running`.
    pub(crate) fn target(&self, running: Option<&Value>) -> Target {
        let base = match self.base() {
            Ok(base) => base,
            Err(reason) => return Target::Refused(reason),
        };
        if base.is_none() && self.approvers.is_empty() && self.owners.is_empty() {
            return Target::Keeps;
        }
        let mut document = base.or(running).cloned().unwrap_or_else(|| json!({}));
        if !self.owners.is_empty() {
            document["tagOwners"] = json!(self.owners);
        }
        let fit = self.approvers.values().filter(|it| self.is_fit(it, &document));
        let (mut routes, mut exit) = (BTreeMap::<&str, BTreeSet<&str>>::new(), BTreeSet::new());
        for approver in fit {
            for (prefix, tag) in &approver.routes {
                routes.entry(prefix).or_default().insert(tag);
            }
            exit.extend(&approver.exit);
        }
        let mut approvals = json!({});
        if !routes.is_empty() {
            approvals["routes"] = json!(routes);
        }
        if !exit.is_empty() {
            approvals["exitNode"] = json!(exit);
        }
        if approvals != json!({}) {
            document["autoApprovers"] = approvals;
        } else if base.is_none() && !self.approvers.is_empty() {
            document.as_object_mut().expect("an object").remove("autoApprovers");
        }
        if base.is_none() && running.is_none() && document == json!({}) {
            return Target::Keeps;
        }
        let owned = owned(&document);
        let mut tags = BTreeSet::new();
        collect_tags(&document["acls"], &mut tags);
        collect_tags(&document["autoApprovers"], &mut tags);
        if tags.iter().any(|tag| !owned.contains(tag)) {
            return Target::Refused("PolicyInvalid");
        }
        Target::Is(document)
    }

    /// Whether a document says owners of all tags of an approver.
    pub(crate) fn is_fit(&self, approver: &Approver, document: &Value) -> bool {
        let owned = owned(document);
        approver.tags().all(|tag| owned.contains(&**tag))
    }
}

fn owned(document: &Value) -> BTreeSet<&str> {
    let owners = document.get("tagOwners").and_then(Value::as_object);
    owners.into_iter().flat_map(|owners| owners.keys().map(String::as_str)).collect()
}

fn collect_tags<'v>(value: &'v Value, tags: &mut BTreeSet<&'v str>) {
    match value {
        Value::String(text) if text.starts_with("tag:") => {
            tags.insert(text);
        }
        Value::Array(items) => items.iter().for_each(|item| collect_tags(item, tags)),
        Value::Object(members) => members.values().for_each(|item| collect_tags(item, tags)),
        _ => {}
    }
}

/// What parts of policies Headscale may have: of all that was declared, or set by hand, since it was
/// known what it has. The operator may have seen some edits and others not.
#[derive(Debug)]
pub(crate) struct Seen {
    /// It may have none.
    none: bool,
    acls: Vec<Value>,
    owners: Vec<Value>,
    approvals: BTreeSet<String>,
}

impl Default for Seen {
    fn default() -> Self {
        let mut seen = Self::empty();
        seen.nothing();
        seen
    }
}

fn note(all: &mut Vec<Value>, value: &Value) {
    if !all.contains(value) {
        all.push(value.clone());
    }
}

impl Seen {
    fn empty() -> Self {
        Self { none: false, acls: Vec::new(), owners: Vec::new(), approvals: BTreeSet::new() }
    }

    /// Headscale has this.
    pub(crate) fn only(value: &Value) -> Self {
        let mut seen = Self::empty();
        seen.add(value);
        seen
    }

    /// Headscale has no policy.
    pub(crate) fn nothing(&mut self) {
        self.none = true;
        self.add(&json!({}));
    }

    pub(crate) fn add(&mut self, value: &Value) {
        note(&mut self.acls, &value["acls"]);
        note(&mut self.owners, &value["tagOwners"]);
        self.approvals.extend(approvals(value));
    }

    /// Notes all that is declared.
    pub(crate) fn add_all(&mut self, sources: &Sources) {
        let inline = sources.policies.iter().filter_map(|policy| match &policy.source {
            Source::Inline(text) => text.value.as_ref(),
            Source::ConfigMap => None,
        });
        let in_map = match &sources.map {
            Map::Has(text) => text.value.as_ref(),
            Map::Missing | Map::WithoutKey => None,
        };
        let in_headscale = sources.inline.as_ref().and_then(|text| text.value.as_ref());
        for value in inline.chain(in_map).chain(in_headscale) {
            self.add(value);
        }
        if !sources.owners.is_empty() {
            note(&mut self.owners, &json!(sources.owners));
        }
        self.approvals.extend(sources.approvers.values().flat_map(Approver::lines));
    }

    /// Whether Headscale can have this.
    pub(crate) fn explains(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return self.none };
        let approvals = approvals(value);
        self.acls.contains(&value["acls"])
            && self.owners.contains(&value["tagOwners"])
            && approvals.iter().all(|line| self.approvals.contains(line))
    }
}

/// What a policy approves, a line for each.
fn approvals(value: &Value) -> Vec<String> {
    let approvers = &value["autoApprovers"];
    let tags = |value: &Value| -> Vec<String> {
        let items = value.as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|tag| Some(tag.as_str()?.to_owned())).collect()
    };
    let routes = approvers["routes"].as_object().cloned().unwrap_or_default();
    let mut lines: Vec<String> = routes
        .iter()
        .flat_map(|(prefix, value)| {
            tags(value).into_iter().map(move |tag| format!("{prefix} {tag}"))
        })
        .collect();
    lines.extend(tags(&approvers["exitNode"]).iter().map(|tag| format!("exit {tag}")));
    lines
}
