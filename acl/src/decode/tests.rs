//! `tests` and `sshTests`

use std::borrow::Cow;

use super::field::Shape;
use super::{destination, has_entries, trimmed, unquoted};
use crate::context::Context;
use crate::hujson::{Document, Kind, Node};
use crate::policy::{Alias, Spanned, SshTest, Test, TestDestination, Text};
use crate::rules::TAG_NAME;

const TEST: Shape<4> =
    Shape { what: "a test", fields: ["src", "proto", "accept", "deny"], fields_0_28: 0 };
const SSH_TEST: Shape<5> = Shape {
    what: "an SSH test",
    fields: ["src", "dst", "accept", "deny", "check"],
    fields_0_28: 0,
};

impl Context<'_> {
    pub(super) fn tests<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Test<'d>> {
        self.list(node, "an array of tests", |this, node| {
            let [source, protocol, accept, deny] = this.fields(node, &TEST)?;
            let empty = Spanned::new(Cow::Borrowed(""), node.span());
            Some(Test {
                source: source.and_then(|s| this.text(s, "one source")).unwrap_or(empty),
                protocol: protocol.and_then(|node| this.protocol(node, &unquoted(node))),
                accept: this.test_destinations(accept),
                deny: this.test_destinations(deny),
                span: node.span(),
            })
        })
    }

    fn test_destinations<'d>(&mut self, node: Option<Node<'d>>) -> Vec<TestDestination<'d>> {
        self.list(node, "an array of destinations with ports", |this, node| {
            let text = this.text(node, "a destination with a port")?;
            let parsed = decoded_twice(&text.value).and_then(|value| {
                destination::parse(&value, this.semantics).map_err(|error| match error.rule {
                    rule if *rule == TAG_NAME => {
                        "tag names must start with a letter, after 'tag:'".to_owned()
                    }
                    _ => error.message,
                })
            });
            Some(TestDestination { text, parsed })
        })
    }

    pub(super) fn ssh_tests<'d>(&mut self, node: Option<Node<'d>>) -> Vec<SshTest<'d>> {
        self.list(node, "an array of SSH tests", |this, node| {
            let [source, destinations, accept, deny, check] = this.fields(node, &SSH_TEST)?;
            let named = |node: &Node<'_>| match node.kind() {
                Kind::String => node.as_str().is_some_and(|text| !text.trim().is_empty()),
                kind => kind != Kind::Null,
            };
            Some(SshTest {
                has_source: source.as_ref().is_some_and(named),
                source: source.and_then(|node| this.ssh_test_source(node)),
                has_destinations: has_entries(destinations),
                destinations: this.aliases(destinations),
                accept: this.ssh_users(accept),
                deny: this.ssh_users(deny),
                check: this.ssh_users(check),
                span: node.span(),
            })
        })
    }

    fn ssh_test_source<'d>(&mut self, node: Node<'d>) -> Option<Spanned<Alias<'d>>> {
        let Spanned { value, span } = self.text(node, "one source")?;
        let text = trimmed(value);
        if text.is_empty() {
            return None;
        }
        match Alias::parse(text.clone()) {
            Some(alias) => Some(Spanned::new(alias, span)),
            None => {
                self.alias_format(&text, span);
                None
            }
        }
    }
}

/// Headscale puts quotes around a test's destination and decodes it a second time: a backslash or
/// quote in it is read as JSON.
fn decoded_twice<'d>(text: &Text<'d>) -> Result<Text<'d>, String> {
    if !text.contains(['"', '\\']) && !text.bytes().any(|b| b < 0x20) {
        return Ok(text.clone());
    }
    let json = format!("\"{text}\"");
    let doc = Document::parse(json.as_bytes());
    let value = match doc.root() {
        Some(root) if doc.errors().is_empty() && root.kind() == Kind::String => root.as_str(),
        _ => None,
    };
    match value {
        Some(value) => Ok(Cow::Owned(value.into_owned())),
        None => Err("jsontext: invalid string".to_owned()),
    }
}
