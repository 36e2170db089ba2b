//! From the policy to packet-filter rules, in Headscale's order.
//!
//! A [`Plan`] holds, for each entry of the policy in order, the rules for every node, and what is to
//! be made for single nodes: rules for `autogroup:self`, and rules of grants with `via`.

use std::rc::Rc;

use foldhash::HashSet;
use serde::Serialize;

use super::ip_set::{IpSet, IpSetBuilder};
use super::resolve::{INTERNET, Resolver};
use super::rule::{Body, CapMap, Rule, Source, Sources, Target};
use crate::hujson::Document;
use crate::policy::{Acl, Alias, Grant, Policy, PortRange, Prefix, Protocol, Spanned, Ssh};
use crate::semantics::{FilterForm, Semantics};

/// Where a rule stands in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The section.
    pub section: Section,
    /// The entry in the section, from 0.
    pub index: usize,
}

/// A section with rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// `acls`
    Acls,
    /// `grants`
    Grants,
}

/// What an entry of the policy comes to; in `acls` since 0.29 what one destination of it does.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) origin: Origin,
    /// Rules for every node.
    pub(crate) common: Vec<Rule>,
    /// What to make for the devices of each user.
    pub(crate) own_devices: Option<OwnDevices>,
    /// What to make for tagged routers.
    pub(crate) via: Option<Via>,
}

impl Entry {
    const fn new(origin: Origin) -> Self {
        Self { origin, common: Vec::new(), own_devices: None, via: None }
    }
}

/// A rule with the destination `autogroup:self`.
#[derive(Debug)]
pub(crate) struct OwnDevices {
    /// The resolved sources, one by one.
    pub(crate) sources: Vec<Rc<IpSet>>,
    /// Protocols and ports.
    pub(crate) ip: Vec<(Vec<u8>, Vec<PortRange>)>,
    pub(crate) app: Option<Rc<CapMap>>,
}

/// A grant with `via`.
#[derive(Debug)]
pub(crate) struct Via {
    pub(crate) tags: Vec<String>,
    pub(crate) sources: Rc<Sources>,
    pub(crate) destinations: Vec<Prefix>,
    pub(crate) internet: bool,
    pub(crate) ip: Vec<(Vec<u8>, Vec<PortRange>)>,
}

/// All entries in Headscale's order; `None` where the policy allows everything because it has
/// neither `acls` nor `grants`.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) entries: Option<Vec<Entry>>,
}

impl Plan {
    pub(crate) fn of<'d>(
        policy: &Policy<'d>,
        doc: &'d Document<'_>,
        resolver: &Resolver<'_, 'd>,
    ) -> Self {
        let planner = Planner { doc, resolver, routes: approved_routes(resolver) };
        if policy.acls.is_none() && policy.grants.is_none() {
            // Up to 0.28 `autogroup:self` in an SSH rule is enough for filters of single nodes, and
            // those allow nothing where there is no rule.
            let old = planner.semantics().filter_form == FilterForm::V0_28;
            let per_node = old && policy.ssh.iter().any(uses_self);
            return Self { entries: per_node.then(Vec::new) };
        }
        let mut entries = Vec::new();
        for (index, grant) in policy.grants.iter().flatten().enumerate() {
            let origin = Origin { section: Section::Grants, index };
            let from = planner.from(&grant.sources);
            let grant = Merged::of(grant, planner.cap_map(grant));
            entries.push(planner.grant(&grant, &from, origin));
        }
        for (index, acl) in policy.acls.iter().flatten().enumerate() {
            let origin = Origin { section: Section::Acls, index };
            match planner.semantics().filter_form {
                FilterForm::V0_28 => entries.push(planner.acl_0_28(acl, origin)),
                FilterForm::V0_29 => {
                    let from = planner.from(&acl.sources);
                    let grants = acl_as_grants(acl);
                    let grants = grants.iter();
                    entries.extend(grants.map(|grant| planner.grant(grant, &from, origin)));
                }
            }
        }
        Self { entries: Some(entries) }
    }
}

fn uses_self(rule: &Ssh<'_>) -> bool {
    let mut aliases = rule.sources.iter().chain(&rule.destinations);
    aliases.any(|alias| alias.value.is_autogroup("autogroup:self"))
}

/// The sources of a grant, or of an entry of `acls` for all that it comes to.
struct GrantSources {
    /// Each one that has a meaning, by itself.
    sets: Vec<Rc<IpSet>>,
    /// All of them as they are written in rules for all nodes; `None` where they hold no address.
    written: Option<Rc<Sources>>,
    /// The same as they are written in rules of `via`.
    written_via: Option<Rc<Sources>>,
    none_given: bool,
}

/// A grant, or one destination of an entry of `acls` in the form of one.
struct Merged<'p, 'd> {
    destinations: Vec<&'p Alias<'d>>,
    ip: Vec<(&'p Protocol, &'p [PortRange])>,
    app: Option<Rc<CapMap>>,
    via: Vec<String>,
}

impl<'p, 'd> Merged<'p, 'd> {
    fn of(grant: &'p Grant<'d>, app: Option<Rc<CapMap>>) -> Self {
        Self {
            destinations: grant.destinations.iter().map(|dst| &dst.value).collect(),
            ip: grant.ip.iter().map(|ip| (&ip.value.protocol, &*ip.value.ports)).collect(),
            app,
            via: grant.via.iter().map(|tag| tag.value.to_string()).collect(),
        }
    }
}

/// An entry of `acls` as one grant for each destination. Where there is a destination that is no
/// autogroup, `autogroup:self` comes last.
fn acl_as_grants<'p, 'd>(acl: &'p Acl<'d>) -> Vec<Merged<'p, 'd>> {
    let is_self = |at: usize| {
        acl.destinations.get(at).is_some_and(|d| d.alias.is_autogroup("autogroup:self"))
    };
    let mut order: Vec<usize> = (0..acl.destinations.len()).collect();
    if acl.destinations.iter().any(|dst| !matches!(dst.alias, Alias::Autogroup(_))) {
        order.sort_by_key(|at| is_self(*at));
    }
    let destinations = order.into_iter().filter_map(|at| acl.destinations.get(at));
    destinations
        .map(|dst| Merged {
            destinations: vec![&dst.alias],
            ip: vec![(acl.protocol(), &dst.ports)],
            app: None,
            via: Vec::new(),
        })
        .collect()
}

/// Every approved subnet route of the tailnet, each once, in the order of the nodes.
fn approved_routes(resolver: &Resolver<'_, '_>) -> Vec<Prefix> {
    let mut seen = foldhash::HashSet::default();
    let routes = resolver.inventory.nodes.iter().flat_map(|node| &node.subnet_routes);
    routes.copied().filter(|route| seen.insert(*route)).collect()
}

struct Planner<'r, 'p, 'd, 't> {
    doc: &'d Document<'t>,
    resolver: &'r Resolver<'p, 'd>,
    routes: Vec<Prefix>,
}

impl<'d> Planner<'_, '_, 'd, '_> {
    const fn semantics(&self) -> &'static Semantics {
        self.resolver.semantics
    }

    /// The capabilities of a grant with their parameters; `None` where it has no `app`.
    fn cap_map(&self, grant: &Grant<'_>) -> Option<Rc<CapMap>> {
        if !grant.has_app {
            return None;
        }
        let capabilities = grant.app.iter().map(|capability| {
            let parameters = self.doc.json_array(capability.parameters);
            let parameters = parameters.map(|values| values.into_iter().map(Rc::from).collect());
            (capability.name.value.to_string(), parameters)
        });
        Some(Rc::new(capabilities.collect()))
    }

    fn grant(&self, grant: &Merged<'_, 'd>, from: &GrantSources, origin: Origin) -> Entry {
        let mut entry = Entry::new(origin);
        if !grant.via.is_empty() {
            entry.via = self.via(grant, from);
            return entry;
        }
        if from.none_given || grant.destinations.is_empty() {
            return entry;
        }
        let (own, others): (Vec<&Alias<'_>>, Vec<&Alias<'_>>) =
            grant.destinations.iter().partition(|dst| dst.is_autogroup("autogroup:self"));
        if !others.is_empty() {
            self.ports(grant, &others, from.written.as_ref(), &mut entry.common);
            if let Some(app) = &grant.app {
                self.app(app, &others, from, &mut entry.common);
            }
        }
        if !own.is_empty() {
            let (sources, ip) = (from.sets.clone(), self.ip(grant));
            entry.own_devices = Some(OwnDevices { sources, ip, app: grant.app.clone() });
        }
        entry
    }

    fn ip(&self, grant: &Merged<'_, '_>) -> Vec<(Vec<u8>, Vec<PortRange>)> {
        let ip = grant.ip.iter();
        ip.map(|(protocol, ports)| (self.semantics().sent_protocols(protocol), ports.to_vec()))
            .collect()
    }

    fn from(&self, sources: &[Spanned<Alias<'d>>]) -> GrantSources {
        let resolved: Vec<(bool, Rc<IpSet>)> = sources
            .iter()
            .filter_map(|source| {
                let is_wildcard = source.value == Alias::Wildcard;
                Some((is_wildcard, self.resolver.resolve(&source.value).set?))
            })
            .collect();
        let merged = self.merged_sources(sources, &resolved);
        let written_via = merged.clone().map(|written| Rc::new(Sources::new(written)));
        // Beside a `*` the other sources are kept as they are, as Tailscale does.
        let named = || resolved.iter().filter(|(is_wildcard, _)| !is_wildcard);
        let wildcard = sources.iter().any(|source| source.value == Alias::Wildcard);
        let written = match merged {
            Some(mut written) if wildcard && named().next().is_some() => {
                let mut known: HashSet<String> = written.iter().map(ToString::to_string).collect();
                for source in named().flat_map(|(_, set)| set.ranges()).map(Source::Range) {
                    if known.insert(source.to_string()) {
                        written.push(source);
                    }
                }
                Some(Rc::new(Sources::new(written)))
            }
            _ => written_via.clone(),
        };
        let sets = resolved.into_iter().map(|(_, set)| set).collect();
        GrantSources { sets, written, written_via, none_given: sources.is_empty() }
    }

    /// All sources together; `None` where they hold no address.
    fn merged_sources(
        &self,
        sources: &[Spanned<Alias<'d>>],
        resolved: &[(bool, Rc<IpSet>)],
    ) -> Option<Vec<Source>> {
        let mut builder = IpSetBuilder::default();
        for (_, set) in resolved {
            builder.add_set(set);
        }
        let all = builder.build();
        if all.is_empty() {
            return None;
        }
        if sources.iter().any(|source| source.value.is_autogroup("autogroup:danger-all")) {
            return Some(vec![Source::Any]);
        }
        let mut written: Vec<Source> = all.ranges().map(Source::Range).collect();
        if sources.iter().any(|source| source.value == Alias::Wildcard) {
            written.extend(self.routes.iter().copied().map(Source::Prefix));
        }
        Some(written)
    }

    fn ports(
        &self,
        grant: &Merged<'_, 'd>,
        destinations: &[&Alias<'d>],
        sources: Option<&Rc<Sources>>,
        rules: &mut Vec<Rule>,
    ) {
        let Some(sources) = sources else { return };
        for (protocol, ports) in &grant.ip {
            let mut targets = Vec::new();
            for destination in destinations {
                if **destination == Alias::Wildcard {
                    targets.extend(ports.iter().map(|ports| (Target::Any, *ports)));
                    continue;
                }
                for prefix in self.resolver.resolve(destination).set().prefixes() {
                    targets.extend(ports.iter().map(|ports| (Target::bare(prefix), *ports)));
                }
            }
            if !targets.is_empty() {
                let body =
                    Body::Ports { protocols: self.semantics().sent_protocols(protocol), targets };
                rules.push(Rule { sources: Rc::clone(sources), body });
            }
        }
    }

    fn app(
        &self,
        app: &Rc<CapMap>,
        destinations: &[&Alias<'d>],
        from: &GrantSources,
        rules: &mut Vec<Rule>,
    ) {
        let mut grants = Vec::new();
        let mut reached = Vec::new();
        for destination in destinations {
            let resolved = self.resolver.resolve(destination);
            let (Some(set), None) = (&resolved.set, &resolved.error) else { continue };
            grants.push((set.prefixes().collect(), Rc::clone(app)));
            reached.extend(set.ranges().map(Source::Range));
        }
        if grants.is_empty() {
            return;
        }
        // Sources without an address still give the rule, since Tailscale gives it.
        let none = || Rc::new(Sources::new(Vec::new()));
        let sources = from.written.as_ref().map_or_else(none, Rc::clone);
        rules.push(Rule { sources, body: Body::Caps(grants) });
        if destinations.iter().any(|dst| **dst == Alias::Wildcard) {
            reached.extend(self.routes.iter().copied().map(Source::Prefix));
        }
        let source_prefixes = from.sets.iter().flat_map(|set| set.prefixes()).collect();
        rules.extend(companions(app, reached, source_prefixes));
    }

    fn via(&self, grant: &Merged<'_, 'd>, from: &GrantSources) -> Option<Via> {
        if grant.ip.is_empty() {
            return None;
        }
        let sources = Rc::clone(from.written_via.as_ref()?);
        let is_internet = |dst: &&&Alias<'_>| dst.is_autogroup("autogroup:internet");
        let named = grant.destinations.iter().filter(|dst| !is_internet(dst));
        Some(Via {
            tags: grant.via.clone(),
            sources,
            destinations: named
                .map(|dst| self.resolver.resolve(dst))
                .filter(|resolved| resolved.error.is_none())
                .flat_map(|resolved| resolved.set().prefixes().collect::<Vec<_>>())
                .collect(),
            internet: grant.destinations.iter().any(|dst| is_internet(&dst)),
            ip: self.ip(grant),
        })
    }

    /// Up to 0.28: sources as prefixes, `autogroup:self` before the other destinations.
    fn acl_0_28(&self, acl: &Acl<'d>, origin: Origin) -> Entry {
        let sources = acl.sources.iter().map(|source| self.resolver.resolve(&source.value));
        let sets: Vec<Rc<IpSet>> = sources.filter_map(|source| source.set).collect();
        let mut builder = IpSetBuilder::default();
        for set in &sets {
            builder.add_set(set);
        }
        let written: Vec<Source> = builder.build().prefixes().map(Source::Prefix).collect();
        let protocols = self.semantics().sent_protocols(acl.protocol());
        let mut own = Vec::new();
        let mut targets = Vec::new();
        for destination in &acl.destinations {
            if destination.alias.is_autogroup("autogroup:self") {
                own.extend_from_slice(&destination.ports);
                continue;
            }
            for prefix in self.resolver.resolve(&destination.alias).set().prefixes() {
                let ports = destination.ports.iter();
                targets.extend(ports.map(|ports| (Target::Net(prefix), *ports)));
            }
        }
        let mut entry = Entry::new(origin);
        if !own.is_empty() {
            let ip = vec![(protocols.clone(), own)];
            entry.own_devices = Some(OwnDevices { sources: sets, ip, app: None });
        }
        if !targets.is_empty() && !written.is_empty() {
            let sources = Rc::new(Sources::new(written));
            entry.common.push(Rule { sources, body: Body::Ports { protocols, targets } });
        }
        entry
    }
}

/// What some capabilities of Tailscale's bring with them, in the other direction: from the
/// destinations to the sources.
pub(crate) fn companions(
    app: &CapMap,
    destinations: Vec<Source>,
    sources: Vec<Prefix>,
) -> impl Iterator<Item = Rule> {
    const COMPANIONS: [(&str, &str); 2] = [
        ("tailscale.com/cap/drive", "tailscale.com/cap/drive-sharer"),
        ("tailscale.com/cap/relay", "tailscale.com/cap/relay-target"),
    ];
    let has: Vec<&str> = COMPANIONS
        .iter()
        .filter(|(capability, _)| app.contains_key(*capability))
        .map(|(_, companion)| *companion)
        .collect();
    let back = Rc::new(Sources::new(destinations));
    has.into_iter().map(move |companion| {
        let caps = Rc::new(CapMap::from([(companion.to_owned(), None)]));
        Rule { sources: Rc::clone(&back), body: Body::Caps(vec![(sources.clone(), caps)]) }
    })
}

/// The prefixes of the internet, as destinations of exit nodes.
pub(crate) fn internet() -> impl Iterator<Item = Prefix> {
    INTERNET.prefixes()
}
