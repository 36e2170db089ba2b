//! SSH rules for which the network lets nobody, or not everybody, through.

use std::net::IpAddr;

use super::cover::{Budget, remainder};
use super::{as_question, made_up, name};
use crate::context::Context;
use crate::engine::boxes::Cell;
use crate::engine::flow::pair;
use crate::engine::ip_set::IpSetBuilder;
use crate::engine::ssh::localpart_domain;
use crate::engine::{IpSet, Network, PortSet, Question};
use crate::finding::Finding;
use crate::policy::{Alias, PortRange, Spanned, Ssh};
use crate::rules::{SSH_PARTLY_WITHOUT_NETWORK, SSH_WITHOUT_NETWORK};

/// Reports SSH rules that allow logins for which no rule of the network opens TCP port 22.
pub(super) fn report<'d>(
    network: &Network<'_, 'd>,
    budget: &mut Budget,
    context: &mut Context<'_>,
) {
    for rule in &network.policy.ssh {
        let Some(state) = state(rule, network, budget) else { break };
        if let State::Closed(pair, partly) = state {
            report_rule(rule, network, pair, partly, context);
        }
    }
}

/// What the network does with the logins of an SSH rule.
enum State {
    /// There are none.
    Empty,
    /// All can be had.
    Open,
    /// Such as this pair of addresses have no way; whether others have one.
    Closed((IpAddr, IpAddr), bool),
}

/// `None` where the budget has ended.
fn state<'d>(rule: &Ssh<'d>, network: &Network<'_, 'd>, budget: &mut Budget) -> Option<State> {
    let inventory = network.inventory;
    let products = products(rule, network);
    let to = IpSet::union(products.iter().map(|(_, to)| to));
    let from = IpSet::union(products.iter().map(|(from, _)| from));
    let ssh = PortSet::of(&[6], [PortRange { first: 22, last: 22 }]);
    let flows = network.flows().about(network, Some(&from), Some(&to));
    budget.spend(flows.len())?;
    let open: Vec<Cell<PortSet>> = flows
        .into_iter()
        .filter(|flow| flow.ports.contains(6, 22))
        .map(|flow| Cell {
            sources: flow.sources.as_ref().clone(),
            destinations: flow.targets.as_ref().clone(),
            items: ssh.clone(),
        })
        .collect();
    let (mut any, mut reached, mut closed) = (false, false, None);
    for (sources, destinations) in products {
        if pair(&sources, &destinations, inventory).is_none() {
            continue;
        }
        any = true;
        budget.spend(open.len())?;
        reached = reached || {
            let common = |cell: &Cell<PortSet>| {
                let sources = sources.intersection(&cell.sources);
                pair(&sources, &destinations.intersection(&cell.destinations), inventory)
            };
            open.iter().any(|cell| common(cell).is_some())
        };
        if closed.is_none() {
            let logins = vec![Cell { sources, destinations, items: ssh.clone() }];
            let left = remainder(logins, &open, budget)?;
            let pairs = left.iter().filter_map(|c| pair(&c.sources, &c.destinations, inventory));
            closed = pairs.into_iter().next();
        }
        if reached && closed.is_some() {
            break;
        }
    }
    Some(match closed {
        _ if !any => State::Empty,
        None => State::Open,
        Some(pair) => State::Closed(pair, reached),
    })
}

/// The logins of a rule, as sources with the destinations of all of them.
fn products<'d>(rule: &Ssh<'d>, network: &Network<'_, 'd>) -> Vec<(IpSet, IpSet)> {
    let inventory = network.inventory;
    let sources = logging_in(rule, network);
    let mut products = vec![(sources.clone(), nodes_of(&rule.destinations, network))];
    if rule.destinations.iter().any(|dst| dst.value.is_autogroup("autogroup:self")) {
        products.extend(inventory.devices_by_user().into_iter().map(|(_, devices)| {
            let devices = inventory.addresses(devices.iter().copied());
            (sources.intersection(&devices), devices)
        }));
    }
    products.retain(|(from, to)| !from.is_empty() && !to.is_empty());
    products
}

/// The addresses of all nodes that the names stand for.
fn nodes_of<'d>(names: &[Spanned<Alias<'d>>], network: &Network<'_, 'd>) -> IpSet {
    let mut builder = IpSetBuilder::default();
    for name in names {
        builder.add_set(&network.resolver.resolve(&name.value).set());
    }
    let nodes = network.inventory.nodes_in(&builder.build());
    network.inventory.addresses(nodes.iter())
}

/// The sources that a rule lets log in as anyone.
fn logging_in<'d>(rule: &Ssh<'d>, network: &Network<'_, 'd>) -> IpSet {
    let sources = nodes_of(&rule.sources, network);
    let users = rule.users.iter().flatten();
    let mut domains = Vec::new();
    for user in users {
        match localpart_domain(&user.value).filter(|_| network.semantics.localparts) {
            Some(domain) => domains.push(domain),
            None => return sources,
        }
    }
    let inventory = network.inventory;
    let named = inventory.users().iter().filter(|user| {
        let domain = user.email.rsplit_once('@').map(|(_, domain)| domain);
        domain.is_some_and(|domain| domains.iter().any(|d| d.eq_ignore_ascii_case(domain)))
    });
    let devices = named.flat_map(|user| inventory.nodes_of_user(user.id)).copied();
    sources.intersection(&inventory.addresses(devices))
}

fn report_rule(
    rule: &Ssh<'_>,
    network: &Network<'_, '_>,
    (from, to): (IpAddr, IpAddr),
    partly: bool,
    context: &mut Context<'_>,
) {
    let id = if partly { &SSH_PARTLY_WITHOUT_NETWORK } else { &SSH_WITHOUT_NETWORK };
    context.push(id, || {
        let (src, dst) = (name(from, network), name(to, network));
        let made_up = made_up(network);
        let message = if partly {
            format!(
                "not all logins of the rule have a way through the network: {src} does not reach \
                 TCP port 22 of {dst}{made_up}"
            )
        } else {
            format!(
                "no login of the rule has a way through the network: {src}, for one, does not \
                 reach TCP port 22 of {dst}{made_up}"
            )
        };
        let (asked_from, asked_to) = (from.to_string(), as_question(to, 22));
        let question = Question { from: &asked_from, to: &asked_to, ..Question::default() };
        let answer = network.explain(&question).ok();
        let nearest = answer.and_then(|answer| answer.nearest.into_iter().next());
        let help = match nearest {
            Some(miss) => {
                format!("nearest is {}: {}", miss.section.entry(miss.index), miss.detail)
            }
            None => "SSH needs a rule in `acls` or `grants` that opens port 22 as well".to_owned(),
        };
        Finding::new(id, rule.span, message).help(help)
    });
}
