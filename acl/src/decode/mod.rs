//! From the syntax tree to the policy: what Headscale's JSON decoder does, except that it stops at
//! the first mistake and this reports them all.
//!
//! Each function returns what could be read and reports the rest, so that later checks see as much
//! of the policy as there is. A value that the parser already called broken is passed over in
//! silence.

mod definitions;
mod destination;
mod field;
mod rules;
mod ssh;
mod tests;

use std::borrow::Cow;

pub(crate) use self::destination::autogroup_help;
use self::field::Shape;
use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::{Document, Edit, Kind, Node};
use crate::policy::{Alias, Policy, Spanned, Text};
use crate::rules::{ALIAS_FORMAT, WRONG_TYPE};
use crate::span::Span;

const POLICY: Shape<11> = Shape {
    what: "the policy",
    fields: [
        "groups",
        "hosts",
        "tagOwners",
        "acls",
        "autoApprovers",
        "ssh",
        "grants",
        "nodeAttrs",
        "tests",
        "sshTests",
        "randomizeClientPort",
    ],
    fields_0_28: 6,
};

/// Reads the policy in `doc`.
///
/// The top-level `null` is an empty policy, as for Headscale.
pub(crate) fn policy<'d>(doc: &'d Document<'_>, context: &mut Context<'_>) -> Policy<'d> {
    let Some(fields) = doc.root().and_then(|root| context.fields(root, &POLICY)) else {
        return Policy::default();
    };
    let [groups, hosts, tags, acls, approvers, ssh, grants, attrs, tests, ssh_tests, port] = fields;
    Policy {
        groups: context.groups(groups),
        hosts: context.hosts(hosts),
        tag_owners: context.tag_owners(tags),
        acls: present(acls).map(|node| context.acls(node)),
        auto_approvers: context.auto_approvers(approvers),
        ssh: context.ssh(ssh),
        grants: present(grants).map(|node| context.grants(node)),
        node_attrs: context.node_attrs(attrs),
        tests: context.tests(tests),
        ssh_tests: context.ssh_tests(ssh_tests),
        randomize_client_port: port.is_some_and(|node| context.boolean(node)),
    }
}

/// Lists whose elements are objects: a string is no element of theirs.
const OBJECTS: &[&str] = &[
    "an array of rules",
    "an array of grants",
    "an array of SSH rules",
    "an array of node attributes",
    "an array of tests",
    "an array of SSH tests",
];

/// A member that is there and not `null`.
fn present(node: Option<Node<'_>>) -> Option<Node<'_>> {
    node.filter(|node| node.kind() != Kind::Null)
}

/// Whether a list or map has an entry, or is something else altogether: then its own error says all
/// there is to say.
fn has_entries(node: Option<Node<'_>>) -> bool {
    present(node).is_some_and(|node| match node.kind() {
        Kind::Array => node.elements().next().is_some(),
        Kind::Object => node.members().next().is_some(),
        _ => true,
    })
}

/// A value as Headscale's hand-written decoders see it: its JSON text without the quotes around it,
/// escapes not decoded.
fn unquoted(node: Node<'_>) -> Cow<'_, str> {
    match node.as_str() {
        Some(text) if node.is_unquoted() => text,
        _ => Cow::Borrowed(node.raw().trim_matches('"')),
    }
}

/// White space around `text` dropped, still borrowed where it was.
fn trimmed(text: Text<'_>) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

impl Context<'_> {
    /// The elements of an array, each read by `read`. An absent or `null` list is empty.
    fn list<'d, T>(
        &mut self,
        node: Option<Node<'d>>,
        expected: &'static str,
        mut read: impl FnMut(&mut Self, Node<'d>) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = present(node) else {
            return Vec::new();
        };
        if node.kind() != Kind::Array {
            self.wrong_type(node, expected);
            return Vec::new();
        }
        node.elements().filter_map(|element| read(self, element)).collect()
    }

    /// A string; `null` is the empty one.
    fn text<'d>(&mut self, node: Node<'d>, expected: &'static str) -> Option<Spanned<Text<'d>>> {
        let text = match node.kind() {
            Kind::String => node.as_str()?,
            Kind::Null => Cow::Borrowed(""),
            _ => {
                self.wrong_type(node, expected);
                return None;
            }
        };
        Some(Spanned::new(text, node.span()))
    }

    fn boolean(&mut self, node: Node<'_>) -> bool {
        if !matches!(node.kind(), Kind::Bool | Kind::Null) {
            self.wrong_type(node, "`true` or `false`");
        }
        node.raw() == "true"
    }

    /// A list of aliases.
    fn aliases<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Spanned<Alias<'d>>> {
        self.list(node, "an array of users, groups, tags, hosts or addresses", Self::alias)
    }

    fn alias<'d>(&mut self, node: Node<'d>) -> Option<Spanned<Alias<'d>>> {
        let Spanned { value, span } = self.text(node, "a user, group, tag, host or address")?;
        let text = if self.semantics.trims { trimmed(value) } else { value };
        match Alias::parse(text.clone()) {
            Some(alias) => Some(Spanned::new(alias, span)),
            None => {
                self.alias_format(&text, span);
                None
            }
        }
    }

    fn alias_format(&mut self, text: &str, span: Span) {
        let message = self.semantics.alias_format(text);
        self.push(&ALIAS_FORMAT, || {
            Finding::new(&ALIAS_FORMAT, span, message).help(alias_help(text))
        });
    }

    /// Reports that `node` is not what is `expected`: "an array of users". A string where a list
    /// belongs can be put into one.
    fn wrong_type(&mut self, node: Node<'_>, expected: &'static str) {
        if node.kind() == Kind::Broken {
            return;
        }
        self.push(&WRONG_TYPE, || {
            let found = node.kind().article();
            let finding = Finding::new(
                &WRONG_TYPE,
                node.span(),
                format!("expected {expected}, found {found}"),
            );
            let holds_text = expected.starts_with("an array of ") && !OBJECTS.contains(&expected);
            if node.kind() == Kind::String && holds_text {
                let (start, end) = (node.span().start, node.span().end);
                return finding.help(format!("write [{}]", cut(node.raw()))).fix(
                    "put the value into an array",
                    vec![Edit::insert(start, "["), Edit::insert(end, "]")],
                );
            }
            finding
        });
    }
}

/// `text`, cut where it would fill the screen.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((at, _)) => Cow::Owned(format!("{}…", text.split_at(at).0)),
        None => Cow::Borrowed(text),
    }
}

fn alias_help(text: &str) -> String {
    let known = "write a user with an `@`, `group:`, `tag:`, `autogroup:`, a name of `hosts`, an \
                 address, or `*`";
    let lower = text.to_lowercase();
    for prefix in ["group:", "tag:", "autogroup:"] {
        if lower.starts_with(prefix) {
            return format!("`{prefix}` is written in lower case");
        }
    }
    if lower.starts_with("user:") || lower.starts_with("users:") {
        return "a user is written without a prefix and with an `@`: `alice@`".to_owned();
    }
    match text.rsplit_once(':') {
        Some((host, ports))
            if !host.contains(':')
                && !ports.is_empty()
                && ports.chars().all(|c| c.is_ascii_digit() || "*,-".contains(c)) =>
        {
            format!("ports belong into `dst` of a rule in `acls`; here write \"{host}\"")
        }
        _ => known.to_owned(),
    }
}
