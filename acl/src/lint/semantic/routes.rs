//! What is allowed but cannot flow, and approvers that approve nothing: asked of a snapshot only.

use super::list;
use crate::context::Context;
use crate::engine::inventory::{Node, is_exit_route};
use crate::engine::ip_set::IpSetBuilder;
use crate::engine::resolve::{INTERNET, TAILNET};
use crate::engine::{IpSet, Network};
use crate::finding::Finding;
use crate::policy::{Alias, Grant, Prefix, Spanned};
use crate::rules::{APPROVER_NEVER_MATCHES, ROUTE_MISSING, VIA_WITHOUT_ROUTER};
use crate::span::Span;

/// How many nodes a help names.
const NAMED: usize = 3;

/// The routes of a tailnet once the policy has approved what it may.
struct Routes<'s, 'n, 'd> {
    network: &'s Network<'n, 'd>,
    /// Announced and approved routes of each node, by its index.
    approved: Vec<Vec<Prefix>>,
    /// All addresses that a node has or leads to.
    led: IpSet,
}

/// Reports destinations that no route leads to, approvers that approve nothing, and grants whose
/// `via` has no router.
pub(super) fn report(network: &Network<'_, '_>, context: &mut Context<'_>) {
    let routes = Routes::of(network);
    routes.destinations(context);
    routes.approvers(context);
    for grant in network.policy.grants.iter().flatten() {
        if !grant.via.is_empty() && !grant.ip.is_empty() {
            routes.via(grant, context);
        }
    }
}

impl<'s, 'n, 'd> Routes<'s, 'n, 'd> {
    fn of(network: &'s Network<'n, 'd>) -> Self {
        let approvers = network.approvers();
        let nodes = &network.inventory.nodes;
        let approved = nodes.iter().map(|node| {
            let mut approved = approvers.approved(node);
            approved.retain(|route| node.announced.contains(route));
            approved
        });
        let approved: Vec<Vec<Prefix>> = approved.collect();
        let mut led = IpSetBuilder::default();
        nodes.iter().for_each(|node| node.add_to(&mut led));
        for route in approved.iter().flatten() {
            if is_exit_route(*route) {
                led.add_set(&INTERNET);
            } else {
                led.add_prefix(*route);
            }
        }
        Self { network, approved, led: led.build() }
    }

    /// The prefix that a name is; `None` for all that are no prefix.
    fn prefix(&self, alias: &Alias<'_>) -> Option<Prefix> {
        match alias {
            Alias::Prefix(prefix) => Some(*prefix),
            Alias::Host(name) => {
                let mut hosts = self.network.policy.hosts.iter();
                let host = hosts.find(|host| host.name.value == *name)?;
                host.prefix.as_ref().map(|prefix| prefix.value)
            }
            _ => None,
        }
    }

    fn destinations(&self, context: &mut Context<'_>) {
        let acls = self.network.policy.acls.iter().flatten();
        let acls = acls.flat_map(|acl| &acl.destinations).map(|dst| (&dst.alias, dst.span));
        let grants = self.network.policy.grants.iter().flatten();
        // Of those with `via` it is asked whether their own routers lead there.
        let grants = grants.filter(|grant| grant.via.is_empty());
        let grants = grants.flat_map(|grant| &grant.destinations).map(|dst| (&dst.value, dst.span));
        for (alias, span) in acls.chain(grants) {
            if alias.is_autogroup("autogroup:internet") {
                if !self.led.intersects(&INTERNET) {
                    self.no_exit_node(span, context);
                }
            } else if let Some(prefix) = self.prefix(alias)
                && !TAILNET.overlaps(prefix)
                && !self.led.overlaps(prefix)
            {
                self.no_route(alias, prefix, span, context);
            }
        }
    }

    fn no_exit_node(&self, span: Span, context: &mut Context<'_>) {
        context.push(&ROUTE_MISSING, || {
            let message = "no node is an approved exit node, so nothing leads to the internet";
            let announcing = self.announcing(is_exit_route);
            let help = match announcing.into_iter().next() {
                Some((node, _)) => format!(
                    "{} offers to be one: approve its exit routes, or let the policy do so: \
                     \"autoApprovers\": {{\"exitNode\": [\"{}\"]}}",
                    node.name,
                    self.owner(node)
                ),
                None => "let a node offer to be one (`tailscale set --advertise-exit-node`) and \
                         approve its exit routes"
                    .to_owned(),
            };
            Finding::new(&ROUTE_MISSING, span, message.to_owned()).help(help)
        });
    }

    fn no_route(&self, alias: &Alias<'_>, prefix: Prefix, span: Span, context: &mut Context<'_>) {
        context.push(&ROUTE_MISSING, || {
            let named = match alias {
                Alias::Host(_) => format!("`{}` ({})", alias.written(), prefix.written()),
                _ => format!("`{}`", alias.written()),
            };
            let message = format!("no node has an approved route to {named}, nor an address of it");
            let announcing =
                self.announcing(|route| !is_exit_route(route) && route.overlaps(prefix));
            let help = match announcing.into_iter().next() {
                Some((node, route)) => format!(
                    "{} announces {route}, which nobody approved: approve it, or let the policy do \
                     so: \"autoApprovers\": {{\"routes\": {{\"{route}\": [\"{}\"]}}}}",
                    node.name,
                    self.owner(node)
                ),
                None => "announce a route to it from a node (`tailscale set --advertise-routes`) \
                         and approve that, or correct the address"
                    .to_owned(),
            };
            Finding::new(&ROUTE_MISSING, span, message).help(help)
        });
    }

    /// The nodes that announce a route as `wanted`, each with the first of these.
    fn announcing(&self, wanted: impl Fn(Prefix) -> bool) -> Vec<(&'n Node, Prefix)> {
        let nodes = self.network.inventory.nodes.iter();
        let announcing = nodes.filter_map(|node| {
            let route = node.announced.iter().find(|route| wanted(**route))?;
            Some((node, *route))
        });
        announcing.collect()
    }

    /// How an approver is written that the node is of: its first tag, or its user.
    fn owner(&self, node: &Node) -> String {
        if let Some(tag) = node.tags.first() {
            return tag.clone();
        }
        let mut users = self.network.inventory.users().iter();
        let user = users.find(|user| Some(user.id) == node.user);
        user.map_or_else(
            || "tag:router".to_owned(),
            |user| {
                if user.name.contains('@') { user.name.clone() } else { format!("{}@", user.name) }
            },
        )
    }

    fn approvers(&self, context: &mut Context<'_>) {
        let approvers = &self.network.policy.auto_approvers;
        for entry in &approvers.routes {
            // Exit routes are approved by `exitNode` alone, which another lint tells.
            let Some(prefix) = entry.prefix.value.filter(|prefix| !is_exit_route(*prefix)) else {
                continue;
            };
            let within = |route: Prefix| {
                !is_exit_route(route) && prefix.bits <= route.bits && prefix.overlaps(route)
            };
            let what = format!("a route within {prefix}");
            self.approver(&entry.approvers, entry.prefix.span, &what, within, context);
        }
        if let [first, ..] = approvers.exit_node.as_slice() {
            let what = "an exit route";
            self.approver(&approvers.exit_node, first.span, what, is_exit_route, context);
        }
    }

    /// Reports `approvers` of whom nobody announces a route as `wanted`, while others do.
    fn approver(
        &self,
        approvers: &[Spanned<Alias<'d>>],
        span: Span,
        what: &str,
        wanted: impl Fn(Prefix) -> bool,
        context: &mut Context<'_>,
    ) {
        let announcing = self.announcing(wanted);
        let Some((other, route)) = announcing.first() else { return };
        let mut builder = IpSetBuilder::default();
        for approver in approvers {
            builder.add_set(&self.network.resolver.resolve(&approver.value).set());
        }
        let set = builder.build();
        if approvers.is_empty() || announcing.iter().any(|(node, _)| node.is_in(&set)) {
            return;
        }
        context.push(&APPROVER_NEVER_MATCHES, || {
            let names: Vec<String> = approvers.iter().map(|a| a.value.written()).collect();
            let message = format!(
                "no node of {} announces {what}, but {} announces {route}",
                list(&names, "or"),
                other.name
            );
            let owner = self.owner(other);
            let by_tag = approvers.iter().any(|a| matches!(a.value, Alias::Tag(_)));
            let help = match (other.is_tagged(), by_tag) {
                (true, false) => format!(
                    "{} carries {owner}, so it is no user's: name the tag as an approver",
                    other.name
                ),
                (true, true) => format!("{} carries {owner}: name that tag", other.name),
                (false, _) => format!("{} is of {owner}: name this user", other.name),
            };
            Finding::new(&APPROVER_NEVER_MATCHES, span, message).help(help)
        });
    }

    fn via(&self, grant: &Grant<'d>, context: &mut Context<'_>) {
        let inventory = self.network.inventory;
        let tags: Vec<&str> = grant.via.iter().map(|tag| &*tag.value).collect();
        let mut nodes: Vec<usize> =
            tags.iter().flat_map(|tag| inventory.nodes_with_tag(tag)).copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let internet =
            grant.destinations.iter().any(|dst| dst.value.is_autogroup("autogroup:internet"));
        let sets: Vec<_> = grant
            .destinations
            .iter()
            .filter(|dst| !dst.value.is_autogroup("autogroup:internet"))
            .map(|dst| self.network.resolver.resolve(&dst.value).set())
            .collect();
        let set = IpSet::union(sets.iter().map(|set| &**set));
        let leads = |route: &Prefix| match is_exit_route(*route) {
            true => internet,
            false => set.overlaps(*route),
        };
        let approved = |at: &usize| self.approved.get(*at).is_some_and(|r| r.iter().any(leads));
        if nodes.iter().any(approved) || (set.is_empty() && !internet) {
            return;
        }
        context.push(&VIA_WITHOUT_ROUTER, || {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let to: Vec<String> =
                grant.destinations.iter().map(|dst| dst.value.written()).collect();
            let (tags, to) = (list(&tags, "or"), list(&to, "or"));
            let message = format!("no node with {tags} has an approved route to {to}");
            let lack = |node: &Node| match node.announced.iter().find(|route| leads(route)) {
                Some(route) => format!("{} announces {route}, which nobody approved", node.name),
                None => format!("{} announces no such route", node.name),
            };
            let lacking = nodes.iter().take(NAMED).filter_map(|at| inventory.node(*at));
            let mut lacking: Vec<String> = lacking.map(lack).collect();
            if let Some(more @ 1..) = nodes.len().checked_sub(NAMED) {
                lacking.push(format!("nor do {more} more"));
            }
            let help = match lacking.as_slice() {
                [] => format!("no node carries {tags}: give it to the router"),
                lacking => lacking.join("; "),
            };
            Finding::new(&VIA_WITHOUT_ROUTER, grant.span, message).help(help)
        });
    }
}
