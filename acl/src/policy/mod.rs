//! The policy as Headscale models it: every section typed, every value with its place in the text.
//!
//! A [`Policy`] borrows from the [`Document`](crate::hujson::Document) it was read from. It holds
//! what could be read: an entry with a mistake is left out, and a finding says so.

mod alias;
mod duration;
mod go_int;
mod ports;
mod prefix;
mod protocol;
mod quote;

use std::borrow::Cow;

pub use alias::Alias;
pub use duration::Nanoseconds;
pub use ports::PortRange;
pub(crate) use ports::parse_ports;
pub use prefix::{Prefix, PrefixError};
pub use protocol::Protocol;
pub(crate) use quote::go_quote;

use crate::span::Span;

/// A value with the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands, with its quotes.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value` at `span`.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// Text that borrows from the document unless it has escapes.
pub type Text<'d> = Cow<'d, str>;

/// A whole policy.
#[derive(Clone, Debug, Default)]
pub struct Policy<'d> {
    /// `groups`
    pub groups: Vec<Group<'d>>,
    /// `hosts`
    pub hosts: Vec<Host<'d>>,
    /// `tagOwners`
    pub tag_owners: Vec<TagOwner<'d>>,
    /// `acls`; `None` where absent or `null`, which is not the same as empty.
    pub acls: Option<Vec<Acl<'d>>>,
    /// `grants`; `None` where absent or `null`, which is not the same as empty.
    pub grants: Option<Vec<Grant<'d>>>,
    /// `nodeAttrs`
    pub node_attrs: Vec<NodeAttr<'d>>,
    /// `autoApprovers`
    pub auto_approvers: AutoApprovers<'d>,
    /// `ssh`
    pub ssh: Vec<Ssh<'d>>,
    /// `tests`
    pub tests: Vec<Test<'d>>,
    /// `sshTests`
    pub ssh_tests: Vec<SshTest<'d>>,
    /// `randomizeClientPort`
    pub randomize_client_port: bool,
}

/// An entry of `groups`.
#[derive(Clone, Debug)]
pub struct Group<'d> {
    /// `group:NAME`
    pub name: Spanned<Text<'d>>,
    /// Its users.
    pub members: Vec<Spanned<Text<'d>>>,
    /// The whole member of the object, name and value.
    pub span: Span,
}

/// An entry of `hosts`.
#[derive(Clone, Debug)]
pub struct Host<'d> {
    /// Its name.
    pub name: Spanned<Text<'d>>,
    /// Its address or prefix; `None` where that could not be read.
    pub prefix: Option<Spanned<Prefix>>,
    /// The whole member of the object, name and value.
    pub span: Span,
}

/// An entry of `tagOwners`.
#[derive(Clone, Debug)]
pub struct TagOwner<'d> {
    /// `tag:NAME`
    pub tag: Spanned<Text<'d>>,
    /// Users, groups and tags that may give it to nodes.
    pub owners: Vec<Spanned<Alias<'d>>>,
    /// The whole member of the object, name and value.
    pub span: Span,
}

/// An entry of `acls`.
#[derive(Clone, Debug)]
pub struct Acl<'d> {
    /// Whether it has an action; the only one there is is `accept`.
    pub has_action: bool,
    /// `proto`
    pub protocol: Option<Spanned<Protocol>>,
    /// `src`
    pub sources: Vec<Spanned<Alias<'d>>>,
    /// `dst`
    pub destinations: Vec<Destination<'d>>,
    /// The whole entry.
    pub span: Span,
}

impl Acl<'_> {
    /// Its protocol, by default none.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        self.protocol.as_ref().map_or(&Protocol::Default, |p| &p.value)
    }
}

/// A destination with ports: `tag:web:80,443`.
#[derive(Clone, Debug)]
pub struct Destination<'d> {
    /// Who or what.
    pub alias: Alias<'d>,
    /// On which ports.
    pub ports: Vec<PortRange>,
    /// The whole string.
    pub span: Span,
}

/// An entry of `grants`.
#[derive(Clone, Debug)]
pub struct Grant<'d> {
    /// `src`
    pub sources: Vec<Spanned<Alias<'d>>>,
    /// `dst`
    pub destinations: Vec<Spanned<Alias<'d>>>,
    /// Whether it has an `app` that is an object, if an empty one.
    pub has_app: bool,
    /// Whether `ip` or `app` has an entry, readable or not.
    pub grants_something: bool,
    /// `ip`
    pub ip: Vec<Spanned<ProtocolPorts>>,
    /// `app`: capability names with their parameters' places.
    pub app: Vec<Capability<'d>>,
    /// `via`
    pub via: Vec<Spanned<Text<'d>>>,
    /// The whole entry.
    pub span: Span,
}

/// An entry of a grant's `ip`: `tcp:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolPorts {
    /// The protocol.
    pub protocol: Protocol,
    /// The ports.
    pub ports: Vec<PortRange>,
}

/// An entry of a grant's `app`.
#[derive(Clone, Debug)]
pub struct Capability<'d> {
    /// Its name.
    pub name: Spanned<Text<'d>>,
    /// Where its parameters stand: a JSON array, or `null`.
    pub parameters: Span,
}

/// An entry of `nodeAttrs`.
#[derive(Clone, Debug)]
pub struct NodeAttr<'d> {
    /// `target`
    pub targets: Vec<Spanned<Alias<'d>>>,
    /// `attr`
    pub attrs: Vec<Spanned<Text<'d>>>,
    /// `ipPool`; a prefix that is the empty string is `None`.
    pub ip_pool: Vec<Spanned<Option<Prefix>>>,
    /// Where `ipPool` stands.
    pub ip_pool_span: Option<Span>,
    /// The whole entry.
    pub span: Span,
}

/// `autoApprovers`
#[derive(Clone, Debug, Default)]
pub struct AutoApprovers<'d> {
    /// `routes`
    pub routes: Vec<RouteApprovers<'d>>,
    /// `exitNode`
    pub exit_node: Vec<Spanned<Alias<'d>>>,
}

/// An entry of `autoApprovers.routes`.
#[derive(Clone, Debug)]
pub struct RouteApprovers<'d> {
    /// The route; `None` for the empty name, which Headscale accepts and which approves nothing.
    pub prefix: Spanned<Option<Prefix>>,
    /// Who may advertise it without asking.
    pub approvers: Vec<Spanned<Alias<'d>>>,
}

/// What an SSH rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshAction {
    /// `accept`
    Accept,
    /// `check`: accept after a fresh login.
    Check,
}

/// An entry of `ssh`.
#[derive(Clone, Debug)]
pub struct Ssh<'d> {
    /// `action`; the inner `None` is a missing or empty one, the outer one that could not be read.
    pub action: Option<Option<SshAction>>,
    /// `src`
    pub sources: Vec<Spanned<Alias<'d>>>,
    /// `dst`
    pub destinations: Vec<Spanned<Alias<'d>>>,
    /// `users`; `None` where it could not be read.
    pub users: Option<Vec<Spanned<Text<'d>>>>,
    /// `checkPeriod`
    pub check_period: Option<Spanned<CheckPeriod>>,
    /// `acceptEnv`
    pub accept_env: Vec<Spanned<Text<'d>>>,
    /// The whole entry.
    pub span: Span,
}

/// How long an SSH check lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckPeriod {
    /// `always`: every connection is checked.
    Always,
    /// For this long.
    For(Nanoseconds),
}

/// An entry of `tests`.
#[derive(Clone, Debug)]
pub struct Test<'d> {
    /// `src`
    pub source: Spanned<Text<'d>>,
    /// `proto`
    pub protocol: Option<Spanned<Protocol>>,
    /// `accept`
    pub accept: Vec<TestDestination<'d>>,
    /// `deny`
    pub deny: Vec<TestDestination<'d>>,
    /// The whole entry.
    pub span: Span,
}

/// A destination in a test.
#[derive(Clone, Debug)]
pub struct TestDestination<'d> {
    /// As written.
    pub text: Spanned<Text<'d>>,
    /// What it means, or Headscale's sentence why it means nothing.
    pub parsed: Result<(Alias<'d>, Vec<PortRange>), String>,
}

/// An entry of `sshTests`.
#[derive(Clone, Debug)]
pub struct SshTest<'d> {
    /// Whether there is a `src` that is not empty.
    pub has_source: bool,
    /// `src`; `None` where empty, missing or unreadable.
    pub source: Option<Spanned<Alias<'d>>>,
    /// Whether `dst` has an entry, readable or not.
    pub has_destinations: bool,
    /// `dst`
    pub destinations: Vec<Spanned<Alias<'d>>>,
    /// `accept`
    pub accept: Vec<Spanned<Text<'d>>>,
    /// `deny`
    pub deny: Vec<Spanned<Text<'d>>>,
    /// `check`
    pub check: Vec<Spanned<Text<'d>>>,
    /// The whole entry.
    pub span: Span,
}
