//! `acls`, `grants` and `nodeAttrs`.

use std::borrow::Cow;

use super::destination::{self, DestinationError};
use super::field::Shape;
use super::{has_entries, present, unquoted};
use crate::context::Context;
use crate::finding::Finding;
use crate::hujson::{Edit, Kind, Node, quote};
use crate::policy::{
    Acl, Capability, Destination, Grant, NodeAttr, PortRange, Prefix, Protocol, ProtocolPorts,
    Spanned, Text, go_quote, parse_ports,
};
use crate::rules::{
    ACL_ACTION, GRANT_IP, GRANT_VIA, PROTOCOL_UNKNOWN, ROUTE_FORMAT, TAG_NAME, WRONG_TYPE,
};
use crate::semantics::Semantics;

const ACL: Shape<4> =
    Shape { what: "an entry of `acls`", fields: ["action", "proto", "src", "dst"], fields_0_28: 4 };
const GRANT: Shape<5> =
    Shape { what: "a grant", fields: ["src", "dst", "ip", "app", "via"], fields_0_28: 0 };
const NODE_ATTR: Shape<3> =
    Shape { what: "an entry of `nodeAttrs`", fields: ["target", "attr", "ipPool"], fields_0_28: 0 };

impl Context<'_> {
    pub(super) fn acls<'d>(&mut self, node: Node<'d>) -> Vec<Acl<'d>> {
        self.list(Some(node), "an array of rules", Self::acl)
    }

    fn acl<'d>(&mut self, node: Node<'d>) -> Option<Acl<'d>> {
        // headscale-admin keeps notes in members such as "#ha-meta".
        let fields = self.fields_unless(node, &ACL, |name| name.starts_with('#'))?;
        let [action, protocol, sources, destinations] = fields;
        self.notes(node);
        let mut index = 0;
        let destinations =
            self.list(destinations, "an array of destinations with ports", |this, node| {
                index += 1;
                this.destination(node, index - 1)
            });
        let has_action = action.is_some();
        if let Some(action) = action {
            self.acl_action(action);
        }
        Some(Acl {
            has_action,
            protocol: protocol.and_then(|node| self.protocol(node, &reencoded(node))),
            sources: self.aliases(sources),
            destinations,
            span: node.span(),
        })
    }

    /// Headscale reads the notes in an entry of `acls` before it drops them, and refuses numbers
    /// that a 64-bit float cannot hold.
    fn notes(&mut self, acl: Node<'_>) {
        for member in acl.members() {
            let note = member.name.as_str().is_some_and(|name| name.starts_with('#'));
            if !note {
                continue;
            }
            for number in member.value.descendants().filter(|n| n.kind() == Kind::Number) {
                if number.raw().parse::<f64>().is_ok_and(f64::is_infinite) {
                    self.report(&WRONG_TYPE, number.span(), || {
                        "expected a number that fits 64 bits, found a larger one".to_owned()
                    });
                }
            }
        }
    }

    fn acl_action(&mut self, node: Node<'_>) {
        let action = reencoded(node);
        if action == "accept" || node.kind() == Kind::Broken {
            return;
        }
        let message = self.semantics.acl_action(&action);
        self.push(&ACL_ACTION, || {
            let finding = Finding::new(&ACL_ACTION, node.span(), message);
            match &*action.trim().to_lowercase() {
                "accept" | "allow" | "check" => finding
                    .help("the only action is `accept`, in lower case")
                    .fix("write `accept`", vec![Edit::replace(node.span(), "\"accept\"")]),
                "deny" | "drop" | "reject" => finding.help(
                    "there is no deny: what no rule accepts is denied; remove the rule, and \
                     narrow those that accept too much",
                ),
                _ => finding.help("write \"action\": \"accept\""),
            }
        });
    }

    /// A protocol from `text`, the value of `node` as Headscale's decoder sees it.
    pub(super) fn protocol(&mut self, node: Node<'_>, text: &str) -> Option<Spanned<Protocol>> {
        if node.kind() == Kind::Broken {
            return None;
        }
        match Protocol::parse(text, self.semantics) {
            Ok(protocol) => Some(Spanned::new(protocol, node.span())),
            Err(message) => {
                self.push(&PROTOCOL_UNKNOWN, || {
                    Finding::new(&PROTOCOL_UNKNOWN, node.span(), message).help(protocol_help(text))
                });
                None
            }
        }
    }

    fn destination<'d>(&mut self, node: Node<'d>, index: usize) -> Option<Destination<'d>> {
        let Some(text) = node.as_str() else {
            self.not_text(node, "a destination with ports as a string");
            return None;
        };
        match destination::parse(&text, self.semantics) {
            Ok((alias, ports)) => Some(Destination { alias, ports, span: node.span() }),
            Err(DestinationError { rule, message, help }) => {
                self.push(rule, || {
                    // Headscale takes the last part of the JSON pointer for the tag.
                    let message = match rule {
                        rule if *rule == TAG_NAME => Semantics::tag_letter(&index.to_string()),
                        _ => message,
                    };
                    Finding::new(rule, node.span(), message).help(help)
                });
                None
            }
        }
    }

    /// Where even `null` is refused.
    fn not_text(&mut self, node: Node<'_>, expected: &'static str) {
        if node.kind() != Kind::Broken {
            let message = self.semantics.type_not_supported(node.kind().article());
            self.push(&WRONG_TYPE, || {
                Finding::new(&WRONG_TYPE, node.span(), message).help(format!("write {expected}"))
            });
        }
    }

    pub(super) fn grants<'d>(&mut self, node: Node<'d>) -> Vec<Grant<'d>> {
        self.list(Some(node), "an array of grants", Self::grant)
    }

    fn grant<'d>(&mut self, node: Node<'d>) -> Option<Grant<'d>> {
        let [sources, destinations, ip, app, via] = self.fields(node, &GRANT)?;
        let via_is_spelled_so =
            node.members().any(|member| member.name.as_str().as_deref() == Some("via"));
        let mut index = 0;
        Some(Grant {
            has_app: present(app).is_some(),
            grants_something: has_entries(ip) || has_entries(app),
            sources: self.aliases(sources),
            destinations: self.aliases(destinations),
            ip: self.list(ip, "an array of protocols and ports", Self::protocol_ports),
            app: self.app(app),
            via: self.list(via, "an array of tags", |this, node| {
                index += 1;
                this.via(node, via_is_spelled_so, index - 1)
            }),
            span: node.span(),
        })
    }

    fn protocol_ports(&mut self, node: Node<'_>) -> Option<Spanned<ProtocolPorts>> {
        let Some(text) = node.as_str() else {
            self.not_text(node, "ports or a protocol with ports as a string: \"tcp:443\"");
            return None;
        };
        match parse_protocol_ports(&text, self.semantics) {
            Ok(value) => Some(Spanned::new(value, node.span())),
            Err(message) => {
                self.push(&GRANT_IP, || {
                    let help = match &*text {
                        t if t.starts_with("*:") => {
                            format!("write \"{}\" for all protocols", t.trim_start_matches("*:"))
                        }
                        t if self::is_protocol(t) => format!("write \"{}:*\"", t.to_lowercase()),
                        t if t.split(':').next().is_some_and(|p| {
                            p.chars().any(char::is_uppercase) && self::is_protocol(p)
                        }) =>
                        {
                            format!("write \"{}\"", t.to_lowercase())
                        }
                        _ => "write `*`, ports (`443`, `6800-7300`), or a protocol with ports: \
                              `tcp:443`"
                            .to_owned(),
                    };
                    Finding::new(&GRANT_IP, node.span(), message).help(help)
                });
                None
            }
        }
    }

    fn app<'d>(&mut self, node: Option<Node<'d>>) -> Vec<Capability<'d>> {
        let Some(node) = present(node) else {
            return Vec::new();
        };
        if node.kind() != Kind::Object {
            self.wrong_type(node, "an object of capabilities");
            return Vec::new();
        }
        let mut capabilities = Vec::new();
        for member in node.members() {
            if !matches!(member.value.kind(), Kind::Array | Kind::Null) {
                self.wrong_type(member.value, "an array of capability parameters");
            }
            let Some(name) = member.name.as_str() else {
                continue;
            };
            capabilities.push(Capability {
                name: Spanned::new(name, member.name.span()),
                parameters: member.value.span(),
            });
        }
        capabilities
    }

    fn via<'d>(
        &mut self,
        node: Node<'d>,
        spelled_so: bool,
        index: usize,
    ) -> Option<Spanned<Text<'d>>> {
        if node.kind() == Kind::Broken {
            return None;
        }
        let text = unquoted(node);
        let rest = text.strip_prefix("tag:");
        if rest.is_some_and(super::definitions::starts_with_letter) {
            return Some(Spanned::new(text, node.span()));
        }
        // Headscale rewords its refusal where the JSON pointer has the part `via`.
        let message = match (spelled_so, rest) {
            (true, _) => "via can only be a tag".to_owned(),
            (false, Some(_)) => Semantics::tag_letter(&index.to_string()),
            (false, None) => self.semantics.tag_format(&text),
        };
        self.push(&GRANT_VIA, || {
            Finding::new(&GRANT_VIA, node.span(), message)
                .help("traffic is steered via tagged routers: write \"tag:NAME\"")
        });
        None
    }

    pub(super) fn node_attrs<'d>(&mut self, node: Option<Node<'d>>) -> Vec<NodeAttr<'d>> {
        self.list(node, "an array of node attributes", Self::node_attr)
    }

    fn node_attr<'d>(&mut self, node: Node<'d>) -> Option<NodeAttr<'d>> {
        let [targets, attrs, ip_pool] = self.fields(node, &NODE_ATTR)?;
        Some(NodeAttr {
            targets: self.aliases(targets),
            attrs: self.list(attrs, "an array of attributes", |this, node| {
                this.text(node, "an attribute")
            }),
            ip_pool: self.list(ip_pool, "an array of prefixes", Self::pool_prefix),
            ip_pool_span: present(ip_pool).map(Node::span),
            span: node.span(),
        })
    }

    fn pool_prefix(&mut self, node: Node<'_>) -> Option<Spanned<Option<Prefix>>> {
        let Spanned { value: text, span } = self.text(node, "a prefix as a string")?;
        if text.is_empty() {
            return Some(Spanned::new(None, span));
        }
        match Prefix::parse_cidr(&text) {
            Ok(prefix) => Some(Spanned::new(Some(prefix), span)),
            Err(why) => {
                self.push(&ROUTE_FORMAT, || {
                    let message = format!("netip.ParsePrefix({}): {why}", go_quote(&text));
                    Finding::new(&ROUTE_FORMAT, span, message)
                        .help("write a prefix: \"100.64.0.0/16\"")
                });
                None
            }
        }
    }
}

/// The value of a member of an `acls` entry as Headscale's decoder sees it: decoded, encoded again,
/// and stripped of its quotes.
fn reencoded(node: Node<'_>) -> Cow<'_, str> {
    match node.kind() {
        Kind::String => match node.as_str() {
            Some(Cow::Borrowed(text)) => Cow::Borrowed(text.trim_matches('"')),
            Some(Cow::Owned(text)) => Cow::Owned(quote(&text).trim_matches('"').to_owned()),
            None => Cow::Borrowed(""),
        },
        Kind::Number => match node.raw().parse::<f64>() {
            // Go prints floats below 10^21 without an exponent, as Rust does.
            Ok(number) if number.is_finite() && number.abs() < 1e21 => {
                Cow::Owned(number.to_string())
            }
            _ => Cow::Borrowed(node.raw()),
        },
        _ => Cow::Borrowed(node.raw()),
    }
}

fn parse_protocol_ports(text: &str, semantics: &Semantics) -> Result<ProtocolPorts, String> {
    let ports = |text: &str| {
        parse_ports(text, semantics).map_err(|why| format!("port range {}: {why}", go_quote(text)))
    };
    if text == "*" {
        return Ok(ProtocolPorts { protocol: Protocol::Default, ports: vec![PortRange::ANY] });
    }
    let parts: Vec<&str> = text.split(':').collect();
    match *parts.as_slice() {
        [only] => Ok(ProtocolPorts { protocol: Protocol::Default, ports: ports(only)? }),
        [protocol, range] => {
            let protocol = Protocol::parse_exact(protocol, semantics)?;
            Ok(ProtocolPorts { protocol, ports: ports(range)? })
        }
        _ => Err(format!(
            "expected only one colon in Internet protocol and port type, got: [{}]({})",
            parts.join(" "),
            parts.len()
        )),
    }
}

fn is_protocol(text: &str) -> bool {
    let lower = text.to_lowercase();
    Semantics::of(crate::Version::DEFAULT).protocols.iter().any(|(name, _)| *name == lower)
}

fn protocol_help(text: &str) -> String {
    match &*text.to_lowercase() {
        "*" | "any" | "all" => {
            "leave `proto` out: then TCP and UDP, and since 0.29 ICMP, are allowed".to_owned()
        }
        "icmpv6" | "icmp6" | "ipv6-icmp" => "write \"58\", or since 0.29 \"ipv6-icmp\"".to_owned(),
        "ipip" => "write \"ip-in-ip\"".to_owned(),
        "fc" => "write \"133\", or since 0.29 \"fc\"".to_owned(),
        _ => "write a name such as \"tcp\", \"udp\" or \"icmp\", or a number from 1 to 255"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Version;

    #[test]
    fn protocols_with_ports_are_read_as_headscale_does() {
        let semantics = Semantics::of(Version::V0_29);
        for good in ["*", "22", "tcp:443", ":22", "99:*", "6:22", "icmp:22"] {
            assert!(parse_protocol_ports(good, semantics).is_ok(), "{good}");
        }
        assert_eq!(
            parse_protocol_ports("tcp:1:2", semantics),
            Err("expected only one colon in Internet protocol and port type, got: [tcp 1 2](3)"
                .to_owned())
        );
        for bad in ["*:22", "*:*", "tcp", "TCP:443", ""] {
            assert!(parse_protocol_ports(bad, semantics).is_err(), "{bad}");
        }
    }
}
