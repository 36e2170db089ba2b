//! What SSH rules let through.

use super::asked::resolved;
use crate::engine::flow::Flow;
use crate::engine::ip_set::IpSet;
use crate::engine::network::Network;
use crate::engine::port_set::PortSet;
use crate::engine::ssh::localpart_domain;
use crate::policy::{PortRange, Ssh};

/// Logins that an SSH rule lets through.
pub(super) struct SshFlow {
    /// The rule, from 0.
    pub(super) index: usize,
    pub(super) flow: Flow,
}

/// The logins as `user` that each SSH rule lets through.
pub(super) fn ssh_flows(network: &Network<'_, '_>, user: &str) -> Vec<SshFlow> {
    let mut flows = Vec::new();
    for (index, rule) in network.policy.ssh.iter().enumerate() {
        let sources = whole_nodes(network, &resolved(network, &rule.sources));
        let mut add = |sources: &IpSet, targets: IpSet| {
            let sources = logging_in(network, rule, sources, user);
            if !sources.is_empty() && !targets.is_empty() {
                let ports = PortSet::of(&[6], [PortRange { first: 22, last: 22 }]);
                let (sources, targets) = (sources.into(), targets.into());
                let flow = Flow { origin: None, sources, targets, ports };
                flows.push(SshFlow { index, flow });
            }
        };
        add(&sources, whole_nodes(network, &resolved(network, &rule.destinations)));
        if rule.destinations.iter().any(|dst| dst.value.is_autogroup("autogroup:self")) {
            for owner in network.inventory.users() {
                let devices = network.inventory.nodes_of_user(owner.id).iter().copied();
                let devices = network.inventory.addresses(devices);
                add(&sources.intersection(&devices), devices);
            }
        }
    }
    flows
}

/// All addresses of the nodes that have one in `set`.
fn whole_nodes(network: &Network<'_, '_>, set: &IpSet) -> IpSet {
    network.inventory.addresses(network.inventory.nodes_in(set).iter())
}

/// Those of `sources` whom `rule` lets log in as `user`.
fn logging_in(network: &Network<'_, '_>, rule: &Ssh<'_>, sources: &IpSet, user: &str) -> IpSet {
    let names = rule.users.iter().flatten().map(|name| &*name.value);
    let allows = |name: &str| match name {
        "autogroup:nonroot" => user != "root",
        name => name == user,
    };
    if names.clone().any(allows) {
        return sources.clone();
    }
    if !network.semantics.localparts {
        return IpSet::default();
    }
    let inventory = network.inventory;
    let own_name = inventory.users().iter().filter(|owner| {
        let Some((local, domain)) = owner.email.rsplit_once('@') else { return false };
        let named = |name| localpart_domain(name).is_some_and(|d| d.eq_ignore_ascii_case(domain));
        local == user && names.clone().any(named)
    });
    let nodes = own_name.flat_map(|owner| inventory.nodes_of_user(owner.id)).copied();
    sources.intersection(&inventory.addresses(nodes))
}
