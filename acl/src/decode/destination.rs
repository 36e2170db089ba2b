//! Destinations with ports: `tag:web:80,443`, `[fd7a::1]:22`.

use std::borrow::Cow;
use std::net::IpAddr;

use super::definitions::starts_with_letter;
use crate::policy::{Alias, PortRange, Text, go_quote, parse_ports};
use crate::rules::{
    ALIAS_FORMAT, AUTOGROUP_UNKNOWN, DESTINATION_FORMAT, PORT_RANGE, Rule, TAG_NAME,
};
use crate::semantics::Semantics;

/// Why a text is no destination.
pub(super) struct DestinationError {
    pub(super) rule: &'static Rule,
    /// Headscale's sentence; empty for [`TAG_NAME`], whose sentence depends on the place.
    pub(super) message: String,
    pub(super) help: String,
}

/// Reads an alias with ports.
pub(super) fn parse<'d>(
    text: &Text<'d>,
    semantics: &Semantics,
) -> Result<(Alias<'d>, Vec<PortRange>), DestinationError> {
    let (host, ports) = split(text, semantics)?;
    let ports = parse_ports(&ports, semantics).map_err(|why| DestinationError {
        rule: &PORT_RANGE,
        message: semantics.destination_ports(text, &ports, why),
        help: ports_help(text, &ports),
    })?;
    let alias = Alias::parse(host.clone()).ok_or_else(|| DestinationError {
        rule: &ALIAS_FORMAT,
        message: semantics.alias_format(&host),
        help: "write a user with an `@`, `group:`, `tag:`, `autogroup:`, a name of `hosts`, an \
               address, or `*`, then `:` and the ports"
            .to_owned(),
    })?;
    match &alias {
        Alias::Autogroup(name) if !semantics.autogroups.contains(&&**name) => {
            Err(DestinationError {
                rule: &AUTOGROUP_UNKNOWN,
                message: semantics.autogroup_unknown(name),
                help: autogroup_help(name),
            })
        }
        Alias::Tag(name)
            if semantics.tags_start_with_letter
                && !name.strip_prefix("tag:").is_some_and(starts_with_letter) =>
        {
            Err(DestinationError {
                rule: &TAG_NAME,
                message: String::new(),
                help: "start the tag's name with one of a-z or A-Z".to_owned(),
            })
        }
        _ => Ok((alias, ports)),
    }
}

/// Splits at the last colon, brackets around an IPv6 address removed.
fn split<'d>(
    text: &Text<'d>,
    semantics: &Semantics,
) -> Result<(Text<'d>, Text<'d>), DestinationError> {
    let error = |message: String, help: &str| DestinationError {
        rule: &DESTINATION_FORMAT,
        message,
        help: help.to_owned(),
    };
    if !text.contains(':') {
        return Err(error(
            semantics.no_colon(),
            &format!("write \"{text}:*\" for all ports, or \"{text}:22\" for one"),
        ));
    }
    let text = if semantics.bracketed_ipv6 && text.starts_with('[') {
        without_brackets(text).map_err(|what| {
            let sentence = "square brackets are only valid around IPv6 addresses";
            let message = match what {
                Some(what) => format!("{sentence}: {}", go_quote(&what)),
                None => sentence.to_owned(),
            };
            error(message, "write \"[fd7a:115c:a1e0::1]:22\" or \"[fd7a:115c:a1e0::]/48:22\"")
        })?
    } else {
        text.clone()
    };
    let halves = match &text {
        Cow::Borrowed(text) => {
            text.rsplit_once(':').map(|(host, ports)| (Cow::Borrowed(host), Cow::Borrowed(ports)))
        }
        Cow::Owned(text) => text
            .rsplit_once(':')
            .map(|(host, ports)| (Cow::Owned(host.to_owned()), Cow::Owned(ports.to_owned()))),
    };
    match halves {
        None => Err(error(
            "input must contain a colon character separating destination and port".to_owned(),
            "write the ports after a colon",
        )),
        Some((host, _)) if host.is_empty() => Err(error(
            "input cannot start with a colon character".to_owned(),
            "write who or what before the colon",
        )),
        Some((_, ports)) if ports.is_empty() => Err(error(
            "input cannot end with a colon character".to_owned(),
            "write the ports after the colon, or `*` for all",
        )),
        Some(halves) => Ok(halves),
    }
}

/// `[addr]:ports` as `addr:ports`, `[addr]/len:ports` as `addr/len:ports`; else what Headscale
/// quotes in its refusal, if anything.
fn without_brackets<'d>(text: &str) -> Result<Text<'d>, Option<String>> {
    let (host, rest) = text.get(1..).and_then(|t| t.split_once(']')).ok_or(None)?;
    let addr = host.split_once('%').map_or(host, |(addr, _)| addr);
    let zone_is_empty = host.ends_with('%');
    if zone_is_empty || !addr.parse::<IpAddr>().is_ok_and(|addr| addr.is_ipv6()) {
        return Err(Some(host.to_owned()));
    }
    if !rest.starts_with([':', '/']) {
        return Err(Some(text.to_owned()));
    }
    Ok(Cow::Owned(format!("{host}{rest}")))
}

fn ports_help(text: &str, ports: &str) -> String {
    let kinds = ["group:", "tag:", "autogroup:"];
    if kinds.iter().any(|kind| text.strip_prefix(kind) == Some(ports)) {
        return format!("the ports are missing: write \"{text}:*\" for all, \"{text}:22\" for one");
    }
    let number = match ports {
        "ssh" => "22",
        "http" => "80",
        "https" => "443",
        "dns" | "domain" => "53",
        _ if ports.contains(char::is_whitespace) => return "remove the space".to_owned(),
        _ => return "write `*`, or ports and ranges: `22`, `80,443`, `6800-7300`".to_owned(),
    };
    format!("ports are numbers: `{ports}` is {number}")
}

/// What to write instead of an autogroup that Headscale does not have.
pub(crate) fn autogroup_help(name: &str) -> String {
    match name {
        "autogroup:members" | "autogroup:users" => "write `autogroup:member`".to_owned(),
        "autogroup:admin"
        | "autogroup:owner"
        | "autogroup:it-admin"
        | "autogroup:network-admin"
        | "autogroup:billing-admin"
        | "autogroup:auditor"
        | "autogroup:shared" => {
            format!("`{name}` is a role of Tailscale's service; name the users in a group instead")
        }
        _ => "Headscale has `autogroup:member`, `autogroup:tagged`, `autogroup:self` and \
              `autogroup:internet`, not each of them everywhere"
            .to_owned(),
    }
}
