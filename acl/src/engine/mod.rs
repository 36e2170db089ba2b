//! The policy engine: what a policy means for the nodes of a tailnet, as Headscale would have it.
//!
//! ```text
//! policy + tailnet ──> sets of addresses ──> rules in order ──> what each node is told
//!                      resolve               compile            packet_filters, peers, ssh, approve
//! ```
//!
//! `tests` holds the policy's own tests against it.
//!
//! A [`Network`] is a policy compiled for an [`Inventory`]; [`compile`](crate::compile) does it all
//! for a text.

mod answers;
mod approve;
pub(crate) mod boxes;
mod classes;
mod compile;
mod diff;
mod filter;
pub(crate) mod flow;
pub(crate) mod inventory;
pub(crate) mod ip_set;
mod json;
mod loaded;
mod merge;
mod mutants;
mod names;
mod network;
mod node_set;
mod output;
mod packet_filters;
mod peers;
mod port_set;
mod query;
mod reach;
pub(crate) mod resolve;
mod route_index;
mod rule;
mod scoped;
pub(crate) mod ssh;
mod symbolic;
mod tests;

pub use answers::Answers;
pub use compile::{Origin, Section};
pub use diff::{Diff, Kind, Refused, Row, Verdict, diff};
pub use inventory::Inventory;
pub use ip_set::{IpRange, IpSet};
pub use json::Layout;
pub use loaded::Loaded;
pub use mutants::{Change, Fate, Mutant};
pub use network::Network;
pub use node_set::NodeSet;
pub use output::{
    CapGrant, Compiled, FilterRule, NetPortRange, NodeOutput, Ports, SshAction, SshPolicy,
    SshPrincipal, SshRule,
};
pub use packet_filters::PacketFilters;
pub use peers::Peers;
pub use port_set::PortSet;
pub(crate) use query::read;
pub use query::{
    Access, AccessRow, Cause, Claim, Coverage, Expect, Explanation, Extent, Judgement, Lack, Miss,
    NameCoverage, Problem, QueryError, Question, Resolved, RuleCoverage, RuleSection, Side, Touch,
    accepted, ask,
};
pub use symbolic::symbolic;
pub use tests::{TestFailure, TestSection};
