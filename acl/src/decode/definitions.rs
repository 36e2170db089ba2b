//! `groups`, `hosts`, `tagOwners` and `autoApprovers`: what names stand for.

use foldhash::HashSet;

use super::field::Shape;
use super::{present, unquoted};
use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::{Edit, Kind, Member, Node, quote};
use crate::policy::{
    Alias, AutoApprovers, Group, Host, Prefix, RouteApprovers, Spanned, TagOwner, Text, go_quote,
};
use crate::rules::{
    APPROVER_FORMAT, DUPLICATE_MEMBER, GROUP_MEMBER, GROUP_NAME, GROUP_NESTED, GROUP_VALUE,
    HOST_ADDRESS, HOST_NAME, OWNER_FORMAT, ROUTE_FORMAT, TAG_NAME,
};
use crate::semantics::Semantics;
use crate::span::Span;

const AUTO_APPROVERS: Shape<2> =
    Shape { what: "`autoApprovers`", fields: ["routes", "exitNode"], fields_0_28: 2 };

impl Context<'_> {
    /// The members of a map; an absent or `null` one is empty.
    fn map<'d>(&mut self, node: Option<Node<'d>>) -> impl Iterator<Item = Member<'d>> + use<'d> {
        let node = present(node);
        if let Some(node) = node
            && node.kind() != Kind::Object
        {
            self.wrong_type(node, "an object");
        }
        node.into_iter().flat_map(Node::members)
    }

    pub(super) fn groups<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Group<'d>> {
        self.map(node).filter_map(|member| self.group(member)).collect()
    }

    fn group<'d>(&mut self, Member { name, value }: Member<'d>) -> Option<Group<'d>> {
        let text = name.as_str()?;
        if !text.starts_with("group:") {
            let message = self.semantics.group_name(&text);
            self.push(&GROUP_NAME, || {
                let right = format!("group:{}", text.trim_start_matches("Group:"));
                Finding::new(&GROUP_NAME, name.span(), message)
                    .help(format!("write \"{right}\""))
                    .fix(
                        format!("rename the group to `{right}`"),
                        vec![Edit::replace(name.span(), quote(&right))],
                    )
            });
            return None;
        }
        let members = match value.kind() {
            Kind::Array => {
                value.elements().filter_map(|element| self.group_member(&text, element)).collect()
            }
            Kind::Broken => Vec::new(),
            kind => {
                let message = self.semantics.group_value(&text, kind.article());
                self.push(&GROUP_VALUE, || {
                    let finding = Finding::new(&GROUP_VALUE, value.span(), message)
                        .help("write the users in an array: [\"alice@\"]");
                    let (start, end) = (value.span().start, value.span().end);
                    match kind {
                        Kind::String => finding.fix(
                            "put the user into an array",
                            vec![Edit::insert(start, "["), Edit::insert(end, "]")],
                        ),
                        _ => finding,
                    }
                });
                Vec::new()
            }
        };
        let span = Span::new(name.span().start, value.span().end);
        Some(Group { name: Spanned::new(text, name.span()), members, span })
    }

    fn group_member<'d>(&mut self, group: &str, node: Node<'d>) -> Option<Spanned<Text<'d>>> {
        let Some(text) = node.as_str() else {
            if node.kind() != Kind::Broken {
                let message = self.semantics.group_member_type(group, node.kind().article());
                self.report(&GROUP_MEMBER, node.span(), || message);
            }
            return None;
        };
        let is_group = text.starts_with("group:");
        let is_user = text.contains('@');
        if is_group && (self.semantics.nested_groups_checked_first || !is_user) {
            let message = self.semantics.nested_group(group, &text);
            self.push(&GROUP_NESTED, || {
                Finding::new(&GROUP_NESTED, node.span(), message)
                    .help(format!("write the users of `{text}` here; a group holds users only"))
            });
            return None;
        }
        if !is_user {
            let message = self.semantics.username(&text);
            self.push(&GROUP_MEMBER, || {
                group_member_help(Finding::new(&GROUP_MEMBER, node.span(), message), &text, node)
            });
            return None;
        }
        Some(Spanned::new(text, node.span()))
    }

    pub(super) fn hosts<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Host<'d>> {
        self.map(node).filter_map(|member| self.host(member)).collect()
    }

    fn host<'d>(&mut self, Member { name, value }: Member<'d>) -> Option<Host<'d>> {
        let text = name.as_str()?;
        let span = Span::new(name.span().start, value.span().end);
        let prefix = self.host_prefix(&text, value);
        if text.contains(['@', ':']) {
            let message = self.semantics.host_name(&text);
            self.push(&HOST_NAME, || {
                Finding::new(&HOST_NAME, name.span(), message)
                    .help("a name of `hosts` has neither `@` nor `:`")
            });
            return None;
        }
        Some(Host { name: Spanned::new(text, name.span()), prefix, span })
    }

    fn host_prefix(&mut self, host: &str, node: Node<'_>) -> Option<Spanned<Prefix>> {
        let Spanned { value: text, span } = self.text(node, "an address or prefix as a string")?;
        match Prefix::parse(&text) {
            Ok(prefix) => Some(Spanned::new(prefix, span)),
            Err(why) => {
                let message = self.semantics.host_address(host, &text);
                self.push(&HOST_ADDRESS, || {
                    let help = match text.trim() {
                        trimmed if trimmed != text && Prefix::parse(trimmed).is_ok() => {
                            format!("remove the space: \"{trimmed}\"")
                        }
                        "" => "write an address or prefix: \"10.0.0.0/8\"".to_owned(),
                        t if t.contains('-') => {
                            "a range is written as one or more prefixes".to_owned()
                        }
                        _ => format!("{why}; write an address or prefix: \"10.0.0.0/8\""),
                    };
                    Finding::new(&HOST_ADDRESS, span, message).help(help)
                });
                None
            }
        }
    }

    pub(super) fn tag_owners<'d>(&mut self, node: Option<Node<'d>>) -> Vec<TagOwner<'d>> {
        self.map(node).filter_map(|member| self.tag_owner(member)).collect()
    }

    fn tag_owner<'d>(&mut self, Member { name, value }: Member<'d>) -> Option<TagOwner<'d>> {
        let text = unquoted(name);
        let owners = self.list(Some(value), "an array of users, groups or tags", |this, node| {
            let Spanned { value, span } = this.text(node, "a user, group or tag")?;
            let owner = Alias::parse_owner(value.clone());
            if owner.is_none() {
                let message = this.semantics.owner_format(&value);
                this.push(&OWNER_FORMAT, || {
                    owner_help(Finding::new(&OWNER_FORMAT, span, message), &value, span)
                });
            }
            owner.map(|owner| Spanned::new(owner, span))
        });
        let Some(rest) = text.strip_prefix("tag:") else {
            let message = self.semantics.tag_format(&text);
            self.push(&TAG_NAME, || {
                let right = format!("tag:{}", text.trim_start_matches("Tag:"));
                Finding::new(&TAG_NAME, name.span(), message)
                    .help(format!("write \"{right}\""))
                    .fix(
                        format!("rename the tag to `{right}`"),
                        vec![Edit::replace(name.span(), quote(&right))],
                    )
            });
            return None;
        };
        if self.semantics.tags_start_with_letter && !starts_with_letter(rest) {
            self.push(&TAG_NAME, || {
                let message = Semantics::tag_letter(&name.as_str().unwrap_or_default());
                Finding::new(&TAG_NAME, name.span(), message)
                    .help("start the name with one of a-z or A-Z")
            });
        }
        let span = Span::new(name.span().start, value.span().end);
        Some(TagOwner { tag: Spanned::new(text, name.span()), owners, span })
    }

    pub(super) fn auto_approvers<'d>(&mut self, node: Option<Node<'d>>) -> AutoApprovers<'d> {
        let fields = node.and_then(|node| self.fields(node, &AUTO_APPROVERS));
        let Some([routes, exit_node]) = fields else {
            return AutoApprovers::default();
        };
        let (mut seen, mut spelled) = (HashSet::default(), HashSet::default());
        let routes = self
            .map(routes)
            .filter_map(|Member { name, value }| {
                let approvers = self.approvers(Some(value));
                let prefix = self.route(name)?;
                // The same prefix in another spelling is the same key; the same text is found for
                // every object alike.
                let new_spelling = spelled.insert(name.as_str());
                if !seen.insert(prefix) && new_spelling {
                    self.report(&DUPLICATE_MEMBER, name.span(), || {
                        let name = name.as_str().unwrap_or_default();
                        format!("duplicate object member name {}", go_quote(&name))
                    });
                }
                Some(RouteApprovers { prefix: Spanned::new(prefix, name.span()), approvers })
            })
            .collect();
        AutoApprovers { routes, exit_node: self.approvers(exit_node) }
    }

    /// A prefix as Go's text decoding reads it: the empty text is a prefix that holds nothing.
    #[expect(clippy::option_option, reason = "unreadable and empty are two things")]
    fn route(&mut self, name: Node<'_>) -> Option<Option<Prefix>> {
        let text = name.as_str()?;
        if text.is_empty() {
            return Some(None);
        }
        match Prefix::parse_cidr(&text) {
            Ok(prefix) => Some(Some(prefix)),
            Err(why) => {
                self.push(&ROUTE_FORMAT, || {
                    let message = format!("netip.ParsePrefix({}): {why}", go_quote(&text));
                    let finding = Finding::new(&ROUTE_FORMAT, name.span(), message);
                    match Prefix::parse(&text) {
                        Ok(prefix) => finding.help(format!("write \"{prefix}\"")).fix(
                            format!("write `{prefix}`"),
                            vec![Edit::replace(name.span(), quote(&prefix.to_string()))],
                        ),
                        Err(_) => finding.help("a route is a prefix: \"10.0.0.0/8\""),
                    }
                });
                None
            }
        }
    }

    fn approvers<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Spanned<Alias<'d>>> {
        self.list(node, "an array of users, groups or tags", |this, node| {
            let Spanned { value, span } = this.text(node, "a user, group or tag")?;
            let approver = Alias::parse_owner(value.clone());
            if approver.is_none() {
                let message = this.semantics.approver_format(&value);
                this.push(&APPROVER_FORMAT, || {
                    owner_help(Finding::new(&APPROVER_FORMAT, span, message), &value, span)
                });
            }
            approver.map(|approver| Spanned::new(approver, span))
        })
    }
}

/// Whether a tag's name starts as Headscale wants it since 0.29.
pub(super) fn starts_with_letter(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn group_member_help(finding: Finding, text: &str, node: Node<'_>) -> Finding {
    match text {
        t if t.starts_with("tag:") => finding.help(
            "a group holds users; name the tag itself in rules, beside or instead of the group",
        ),
        "*" => {
            finding.help("a group holds users; for every user write `autogroup:member` in rules")
        }
        t if t.starts_with("autogroup:") => {
            finding.help(format!("a group holds users; name `{t}` in the rules themselves"))
        }
        "" => finding.help("remove the empty name"),
        t if t.parse::<std::net::IpAddr>().is_ok() => finding.help(
            "a group holds users; name the address itself in rules, or give it a name in `hosts`",
        ),
        t => finding.help(format!("did you mean the user `{t}@`?")).fix(
            format!("write `{t}@`"),
            vec![Edit::replace(node.span(), quote(&format!("{t}@")))],
        ),
    }
}

fn owner_help(finding: Finding, text: &str, span: Span) -> Finding {
    match text {
        "*" => finding.help("name the users, groups or tags; `*` cannot stand here"),
        "" => finding.help("remove the empty name"),
        t if t.starts_with("autogroup:") => {
            finding.help("name the users, groups or tags; an autogroup cannot stand here")
        }
        t if t.parse::<std::net::IpAddr>().is_ok() || t.contains(['/', ':']) => {
            finding.help("write a user with an `@`, `group:` or `tag:`")
        }
        t => finding
            .help(format!("did you mean the user `{t}@`?"))
            .fix(format!("write `{t}@`"), vec![Edit::replace(span, quote(&format!("{t}@")))]),
    }
}
