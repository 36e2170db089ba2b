//! One document out of what was declared.

use std::collections::{BTreeMap, BTreeSet};

use headscale_acl::hujson::{Change, Document, Kind, Node, apply, change, minimize};
use headscale_api::desired::compose_policy;
use headscale_api::kinds::HeadscaleAutoApproverSpec;
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::conditions::Verdict;
use crate::stored::INVALID_SPEC;

/// The policy that nothing was declared of: it says nothing.
pub const NOTHING: &str = "{}\n";

/// What approvers approve, all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// Tags by prefix, in the form in which Go prints it.
    pub routes: BTreeMap<String, BTreeSet<String>>,
    /// Tags of exit nodes.
    pub exit_node: BTreeSet<String>,
}

impl Approvals {
    /// Those of all of these; prefixes that are none are left out.
    #[must_use]
    pub fn of<'s>(specs: impl IntoIterator<Item = &'s HeadscaleAutoApproverSpec>) -> Self {
        let mut all = Self::default();
        for spec in specs {
            for route in &spec.routes {
                let Some(prefix) = prefix(&route.cidr) else { continue };
                all.routes.entry(prefix).or_default().extend(route.tags.iter().cloned());
            }
            all.exit_node.extend(spec.exit_node_tags.iter().cloned());
        }
        all
    }

    /// Approves besides what a policy approves for tags that `owned` has, or for anybody but tags.
    pub fn keep(&mut self, policy: &str, owned: Option<&BTreeSet<String>>) {
        let document = Document::parse(policy.as_bytes());
        let approvers = document.root().and_then(|root| root.member("autoApprovers"));
        let kept = approvers.and_then(read).and_then(|it| serde_json::from_value(it).ok());
        let kept: Kept = kept.unwrap_or_default();
        let is_owned = |who: &String| {
            !who.starts_with("tag:") || owned.is_none_or(|owned| owned.contains(who))
        };
        for (prefix, who) in kept.routes {
            let who: BTreeSet<String> = who.into_iter().filter(is_owned).collect();
            if !who.is_empty() {
                self.routes.entry(prefix).or_default().extend(who);
            }
        }
        self.exit_node.extend(kept.exit_node.into_iter().filter(is_owned));
    }

    /// Whether nothing is approved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.exit_node.is_empty()
    }

    fn value(&self) -> Value {
        let mut value = json!({});
        if let Some(members) = value.as_object_mut() {
            let routes = (!self.routes.is_empty()).then(|| json!(self.routes));
            members.extend(routes.map(|routes| ("routes".to_owned(), routes)));
            let exit_node = (!self.exit_node.is_empty()).then(|| json!(self.exit_node));
            members.extend(exit_node.map(|tags| ("exitNode".to_owned(), tags)));
        }
        value
    }
}

/// What a policy approves.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Kept {
    routes: BTreeMap<String, BTreeSet<String>>,
    exit_node: BTreeSet<String>,
}

/// A prefix without bits beyond its length, which would match no announced route.
fn prefix(text: &str) -> Option<String> {
    text.parse::<IpNet>().ok().map(|prefix| prefix.trunc().to_string())
}

/// What a document is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The policy that the rest goes into.
    pub base: &'a str,
    /// They replace `tagOwners`, unless there are none.
    pub tag_owners: &'a BTreeMap<String, Vec<String>>,
    /// They replace `autoApprovers`; empty ones remove them. `None` leaves those of the base.
    pub approvals: Option<&'a Approvals>,
    /// Whether `randomizeClientPort` is said where the base does not say.
    pub randomize_client_port: bool,
}

/// The document. The same parts give the same bytes, what is in it already stays as it is written,
/// and so do all comments. A base that is no HuJSON object is given back as it is: the check says
/// what is wrong with it.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
///
/// use headscale_operator::policy::{Approvals, Parts, compose};
///
/// let approvals = Approvals {
///     exit_node: ["tag:exit".to_owned()].into(),
///     ..Approvals::default()
/// };
/// let parts = Parts {
///     base: "{\"acls\": []} // nobody\n",
///     tag_owners: &BTreeMap::new(),
///     approvals: Some(&approvals),
///     randomize_client_port: false,
/// };
/// let text = compose(&parts);
/// assert_eq!(
///     text,
///     "{\"acls\": [], \"autoApprovers\": {\"exitNode\": [\"tag:exit\"]}} // nobody\n",
/// );
/// assert_eq!(compose(&Parts { base: &text, ..parts }), text);
/// ```
#[must_use]
pub fn compose(parts: &Parts<'_>) -> String {
    let base = Document::parse(parts.base.as_bytes());
    let has_owners = is(&base, "tagOwners", &json!(parts.tag_owners));
    let none = BTreeMap::new();
    let owners = if has_owners { &none } else { parts.tag_owners };
    let text = compose_policy(Some(parts.base), owners, parts.randomize_client_port);
    let text = text.unwrap_or_else(|| parts.base.to_owned());
    let Some(approvals) = parts.approvals else { return text };
    let document = Document::parse(text.as_bytes());
    let value = approvals.value();
    let json = value.to_string();
    let has_some = document.root().is_some_and(|root| root.member("autoApprovers").is_some());
    let pointer = "/autoApprovers";
    let change_to_make = match approvals.is_empty() {
        true if !has_some => return text,
        true => Change::Remove { pointer },
        false if is(&document, "autoApprovers", &value) => return text,
        false => Change::Add { pointer, json: &json },
    };
    let edits = change(&document, &[change_to_make]).ok();
    edits.and_then(|edits| apply(&text, &edits).ok()).unwrap_or(text)
}

/// Whether the member of this name has this value.
fn is(document: &Document<'_>, name: &str, value: &Value) -> bool {
    let member = document.root().and_then(|root| root.member(name));
    member.is_some_and(|member| read(member).as_ref() == Some(value))
}

fn read(node: Node<'_>) -> Option<Value> {
    let document = Document::parse(node.raw().as_bytes());
    serde_json::from_str(&minimize(&document)).ok()
}

/// Whether two texts are the same policy, whatever their comments and layout. Texts that cannot be
/// read are the same only where they are the same text.
#[must_use]
pub fn is_same_policy(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let value = |text: &str| -> Option<Value> {
        let document = Document::parse(text.as_bytes());
        if !document.errors().is_empty() {
            return None;
        }
        serde_json::from_str(&minimize(&document)).ok()
    };
    value(one).is_some_and(|one| value(other) == Some(one))
}

/// Whether Headscale lets everything through with a policy: one that is empty, and one without
/// `acls` and `grants`. One that cannot be read does not.
#[must_use]
pub fn allows_everything(policy: &str) -> bool {
    if policy.is_empty() {
        return true;
    }
    let document = Document::parse(policy.as_bytes());
    let Some(root) = document.root().filter(|_| document.errors().is_empty()) else { return false };
    // Headscale does not look at the case of names.
    let is_rule = |name: &str| ["acls", "grants"].iter().any(|it| name.eq_ignore_ascii_case(it));
    let has_rules = root.members().any(|member| {
        member.value.kind() != Kind::Null && member.name.as_str().is_some_and(|name| is_rule(&name))
    });
    matches!(root.kind(), Kind::Object | Kind::Null) && !has_rules
}

/// The tags that a policy says owners of; `None` where it cannot be read.
#[must_use]
pub fn owned_tags(policy: &str) -> Option<BTreeSet<String>> {
    let document = Document::parse(policy.as_bytes());
    if !document.errors().is_empty() {
        return None;
    }
    let owners = document.root()?.member("tagOwners");
    let tags = owners.into_iter().flat_map(Node::members);
    Some(tags.filter_map(|tag| Some(tag.name.as_str()?.into_owned())).collect())
}

/// What is wrong with an approver, where its policy says owners of `owned`: `None` where that cannot
/// be read, and then nothing is wrong with their tags.
#[must_use]
pub fn unfit(
    spec: &HeadscaleAutoApproverSpec,
    owned: Option<&BTreeSet<String>>,
) -> Option<Verdict> {
    for (number, route) in spec.routes.iter().enumerate() {
        if prefix(&route.cidr).is_none() {
            let message = format!(
                "spec.routes[{number}].cidr is {:?}, which is no prefix: write one such as \
                 10.0.0.0/8 or fd00::/8",
                route.cidr
            );
            return Some(Verdict::bad(INVALID_SPEC, message));
        }
    }
    let tags = spec.routes.iter().flat_map(|route| &route.tags).chain(&spec.exit_node_tags);
    let owned = owned?;
    let missing: BTreeSet<&str> =
        tags.map(String::as_str).filter(|tag| !owned.contains(*tag)).collect();
    if missing.is_empty() {
        return None;
    }
    let missing: Vec<&str> = missing.into_iter().collect();
    let message = format!(
        "The policy says no owners of {}, so Headscale would refuse it with this approver, which \
         is left out: name owners under tagOwners of the policy, or in spec.acl_policy.tag_owners \
         of the Headscale",
        missing.join(", ")
    );
    Some(Verdict::bad("TagOwnerMissing", message))
}
