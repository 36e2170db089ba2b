//! What a policy names: users, groups, tags, hosts, addresses.

use std::borrow::Cow;
use std::fmt;

use super::prefix::Prefix;

/// One name in a policy, by what Headscale takes it for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alias<'d> {
    /// `*`
    Wildcard,
    /// An address or prefix.
    Prefix(Prefix),
    /// Anything with an `@`: `alice@`, `alice@example.com`, a provider id.
    User(Cow<'d, str>),
    /// `group:…`
    Group(Cow<'d, str>),
    /// `tag:…`
    Tag(Cow<'d, str>),
    /// `autogroup:…`, known or not.
    Autogroup(Cow<'d, str>),
    /// A name without `:` and `@`: an entry of `hosts`.
    Host(Cow<'d, str>),
}

impl<'d> Alias<'d> {
    /// Takes `text` for what Headscale takes it for, in Headscale's order; `None` where it is
    /// nothing that Headscale knows.
    #[must_use]
    pub fn parse(text: Cow<'d, str>) -> Option<Self> {
        if may_be_address(&text)
            && let Ok(prefix) = Prefix::parse(&text)
        {
            return Some(Self::Prefix(prefix));
        }
        Some(match &*text {
            "*" => Self::Wildcard,
            t if t.contains('@') => Self::User(text),
            t if t.starts_with("group:") => Self::Group(text),
            t if t.starts_with("tag:") => Self::Tag(text),
            t if t.starts_with("autogroup:") => Self::Autogroup(text),
            t if !t.contains(':') => Self::Host(text),
            _ => return None,
        })
    }

    /// Takes `text` for an owner of a tag or an approver of a route: a user, group or tag.
    #[must_use]
    pub fn parse_owner(text: Cow<'d, str>) -> Option<Self> {
        Some(match &*text {
            t if t.contains('@') => Self::User(text),
            t if t.starts_with("group:") => Self::Group(text),
            t if t.starts_with("tag:") => Self::Tag(text),
            _ => return None,
        })
    }

    /// As people write it: a single address without its length.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Self::Prefix(prefix) => prefix.written(),
            alias => alias.to_string(),
        }
    }

    /// Whether it is this autogroup: `autogroup:self`.
    #[must_use]
    pub fn is_autogroup(&self, name: &str) -> bool {
        matches!(self, Self::Autogroup(autogroup) if autogroup == name)
    }
}

impl fmt::Display for Alias<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wildcard => f.write_str("*"),
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::User(name)
            | Self::Group(name)
            | Self::Tag(name)
            | Self::Autogroup(name)
            | Self::Host(name) => f.write_str(name),
        }
    }
}

/// Cheap test before the costly one: an address starts with a hex digit or a colon and has a dot or
/// a colon.
fn may_be_address(text: &str) -> bool {
    let first = text.as_bytes().first();
    first.is_some_and(|b| b.is_ascii_hexdigit() || *b == b':')
        && text.bytes().any(|b| b == b'.' || b == b':')
}
