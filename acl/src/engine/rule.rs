//! Packet-filter rules as the engine holds them: sources once, destinations with their meaning.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use serde_json::value::RawValue;

use super::ip_set::{IpRange, IpSet, IpSetBuilder};
use super::resolve::EVERYTHING;
use crate::policy::{PortRange, Prefix};

/// One source of a rule, as it is written into a packet filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// `*`
    Any,
    Range(IpRange),
    Prefix(Prefix),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Range(range) => range.fmt(f),
            Self::Prefix(prefix) => prefix.fmt(f),
        }
    }
}

/// The sources of a rule. Rules whose sources are written alike share one.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) written: Vec<Source>,
    /// What they hold.
    pub(crate) set: Rc<IpSet>,
}

impl Sources {
    pub(crate) fn new(written: Vec<Source>) -> Self {
        let mut builder = IpSetBuilder::default();
        for source in &written {
            match source {
                Source::Any => builder.add_set(&EVERYTHING),
                Source::Prefix(prefix) => builder.add_prefix(*prefix),
                Source::Range(range) => builder.add_range(*range),
            }
        }
        Self { written, set: Rc::new(builder.build()) }
    }

    /// Each as it is written.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.written.iter().map(ToString::to_string).collect()
    }
}

/// One destination of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `*`
    Any,
    /// One address, written without its length.
    Addr(IpAddr),
    /// A prefix, written with its length.
    Net(Prefix),
}

impl Target {
    /// A prefix as it is written since 0.29: one address without its length.
    pub(crate) const fn bare(prefix: Prefix) -> Self {
        if prefix.is_single() { Self::Addr(prefix.addr) } else { Self::Net(prefix) }
    }

    /// The prefix it is; `None` for all.
    pub(crate) fn prefix(self) -> Option<Prefix> {
        match self {
            Self::Any => None,
            Self::Addr(addr) => Some(Prefix { addr, bits: if addr.is_ipv4() { 32 } else { 128 } }),
            Self::Net(prefix) => Some(prefix),
        }
    }

    pub(crate) fn add_to(self, builder: &mut IpSetBuilder) {
        match self.prefix() {
            Some(prefix) => builder.add_prefix(prefix),
            None => builder.add_set(&EVERYTHING),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Addr(addr) => addr.fmt(f),
            Self::Net(prefix) => prefix.fmt(f),
        }
    }
}

/// Capabilities by name, with their parameters as JSON; `None` is `null`.
pub(crate) type CapMap = BTreeMap<String, Option<Vec<Rc<RawValue>>>>;

/// What a rule allows.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Connections to ports.
    Ports {
        /// IANA numbers; empty where the client's default applies.
        protocols: Vec<u8>,
        targets: Vec<(Target, PortRange)>,
    },
    /// Capabilities on nodes.
    Caps(Vec<(Vec<Prefix>, Rc<CapMap>)>),
}

impl Body {
    /// Every address that it is about.
    pub(crate) fn addresses(&self) -> IpSet {
        let mut builder = IpSetBuilder::default();
        match self {
            Self::Ports { targets, .. } => {
                for (target, _) in targets {
                    target.add_to(&mut builder);
                }
            }
            Self::Caps(grants) => {
                for prefix in grants.iter().flat_map(|(prefixes, _)| prefixes) {
                    builder.add_prefix(*prefix);
                }
            }
        }
        builder.build()
    }
}

/// A rule, not yet reduced to what concerns a node.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) sources: Rc<Sources>,
    pub(crate) body: Body,
}
