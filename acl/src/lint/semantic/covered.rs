//! Entries that change nothing because others allow all that they do.

use std::net::IpAddr;

use super::cover::{Budget, overlap, remainder};
use super::entries::{Allowed, Logins};
use super::list;
use super::sets::Sets;
use crate::context::Context;
use crate::engine::boxes::{Cell, Items};
use crate::engine::flow::owner;
use crate::engine::inventory::Inventory;
use crate::engine::{IpSet, Network, PortSet, RuleSection};
use crate::finding::Finding;
use crate::lint::rules::{acl_duplicates, grant_duplicates, ssh_duplicates};
use crate::policy::{CheckPeriod, Policy, SshAction};
use crate::rules::RULE_COVERED;
use crate::semantics::Semantics;
use crate::span::Span;

/// How many entries a proof names.
const NAMED: usize = 3;

/// An entry of the policy that may be covered, or cover others.
struct Entry<I> {
    section: RuleSection,
    /// From 0.
    index: usize,
    span: Span,
    /// What it allows by each of the versions asked for.
    allowed: Vec<Allowed<I>>,
    /// Whether it is asked if others cover it.
    is_candidate: bool,
    /// Whether only one other entry can stand for it.
    one_alone: bool,
    /// Whether it is gone: it says the same as an entry before it, or others cover it.
    is_gone: bool,
}

impl<I: Items> Entry<I> {
    /// Whether `other` may allow a part of what it does.
    fn touches(&self, other: &Self) -> bool {
        let common = |(own, other): (&Allowed<I>, &Allowed<I>)| {
            own.cells().any(|cell| other.cells().any(|other| overlap(cell, other)))
        };
        self.allowed.iter().zip(&other.allowed).any(common)
    }
}

/// Reports entries of `acls`, `grants` and `ssh` that others cover by all of `versions`. `symbolic`
/// is made up from the policy.
pub(super) fn report(
    symbolic: &Network<'_, '_>,
    versions: &[&'static Semantics],
    budget: &mut Budget,
    context: &mut Context<'_>,
) {
    let Some(sets) = Sets::of(symbolic) else { return };
    let inventory = symbolic.inventory;
    let mut rules = network_entries(&sets, versions);
    let mut found = covered(&mut rules, inventory, |_, _| true, budget);
    let mut logins = ssh_entries(&sets, versions);
    let ways = ways(symbolic.policy);
    let decides_alike = |entry: usize, other: usize| match (ways.get(entry), ways.get(other)) {
        (Some((way, until)), Some((other_way, _))) => way == other_way && other < *until,
        _ => false,
    };
    found.extend(covered(&mut logins, inventory, decides_alike, budget));
    for Covered { section, index, span, by, more } in found {
        context.push(&RULE_COVERED, || {
            let together = if by.len() + more > 1 { " together allow" } else { " allows" };
            let mut by = by;
            if more > 0 {
                by.push(format!("{more} more"));
            }
            let message = format!(
                "{} changes nothing: {}{together} all of it, whatever nodes there are",
                section.entry(index),
                list(&by, "and")
            );
            Finding::new(&RULE_COVERED, span, message)
                .help("remove it; if it was to be the only way in, narrow what covers it instead")
        });
    }
}

/// A finding: the entry, and the first of those that cover it.
struct Covered {
    section: RuleSection,
    index: usize,
    span: Span,
    by: Vec<String>,
    /// How many more of them there are.
    more: usize,
}

fn network_entries(sets: &Sets<'_, '_, '_>, versions: &[&Semantics]) -> Vec<Entry<PortSet>> {
    let policy = sets.network.policy;
    let acls = policy.acls.as_deref().unwrap_or_default();
    let grants = policy.grants.as_deref().unwrap_or_default();
    let gone = acl_duplicates(acls);
    let acls = acls.iter().zip(gone).enumerate().map(|(index, (acl, before))| {
        let sources = acl.sources.iter().map(|source| &source.value);
        let aliases = || sources.clone().chain(acl.destinations.iter().map(|dst| &dst.alias));
        Entry {
            section: RuleSection::Acls,
            index,
            span: acl.span,
            allowed: versions.iter().map(|version| sets.acl(acl, version)).collect(),
            is_candidate: versions.iter().all(|version| sets.are_exact_for(aliases(), version)),
            one_alone: false,
            is_gone: before.is_some(),
        }
    });
    let gone = grant_duplicates(grants);
    let grants = grants.iter().zip(gone).enumerate();
    // What `via` allows depends on the routers.
    let grants = grants.filter(|(_, (grant, _))| grant.via.is_empty());
    let grants = grants.map(|(index, (grant, before))| {
        let sources = grant.sources.iter().map(|source| &source.value);
        let aliases = || sources.clone().chain(grant.destinations.iter().map(|dst| &dst.value));
        let exact = versions.iter().all(|version| sets.are_exact_for(aliases(), version));
        Entry {
            section: RuleSection::Grants,
            index,
            span: grant.span,
            allowed: versions.iter().map(|version| sets.grant(grant, version)).collect(),
            is_candidate: exact && !grant.has_app,
            one_alone: false,
            is_gone: before.is_some(),
        }
    });
    let mut entries: Vec<Entry<PortSet>> = acls.chain(grants).collect();
    entries.sort_by_key(|entry| entry.span.start);
    entries
}

fn ssh_entries(sets: &Sets<'_, '_, '_>, versions: &[&Semantics]) -> Vec<Entry<Logins>> {
    let rules = &sets.network.policy.ssh;
    let entries = rules.iter().zip(ssh_duplicates(rules)).enumerate();
    let entries = entries.map(|(index, (rule, before))| {
        let aliases = || rule.sources.iter().chain(&rule.destinations).map(|alias| &alias.value);
        Entry {
            section: RuleSection::Ssh,
            index,
            span: rule.span,
            allowed: versions.iter().map(|version| sets.ssh(rule, version)).collect(),
            is_candidate: versions.iter().all(|version| sets.are_exact_for(aliases(), version)),
            // By a rule with such users a source also reaches its own devices, as all users of the
            // rule together.
            one_alone: rule.users.iter().flatten().any(|user| user.value.contains("localpart:")),
            is_gone: before.is_some(),
        }
    });
    entries.collect()
}

/// How an SSH rule does what it does: action, check period and environment.
type Way<'p> = (Option<Option<SshAction>>, Option<CheckPeriod>, Vec<&'p str>);

/// Each SSH rule's way, and the index of the first rule after it with the same action in another way.
/// The first rule that allows a login decides, so what comes after that one decides nothing for it.
fn ways<'p>(policy: &'p Policy<'_>) -> Vec<(Way<'p>, usize)> {
    let ways = policy.ssh.iter().map(|rule| {
        let mut env: Vec<&str> = rule.accept_env.iter().map(|name| &*name.value).collect();
        env.sort_unstable();
        env.dedup();
        (rule.action, rule.check_period.as_ref().map(|period| period.value), env)
    });
    let ways: Vec<Way<'p>> = ways.collect();
    let until = |at: usize, way: &Way<'p>| {
        let mut later = ways.iter().enumerate().skip(at + 1);
        let other = later.find(|(_, other)| other.0 == way.0 && *other != way);
        other.map_or(ways.len(), |(at, _)| at)
    };
    let all = ways.iter().enumerate();
    all.map(|(at, way)| (way.clone(), until(at, way))).collect()
}

/// Finds the covered ones of `entries`, from the last to the first: one that is covered covers no
/// other. `may_cover` tells whether the entry at its first argument can be covered by that at its
/// second. Ends early where the budget does.
fn covered<I: Items>(
    entries: &mut [Entry<I>],
    inventory: &Inventory<'_>,
    may_cover: impl Fn(usize, usize) -> bool,
    budget: &mut Budget,
) -> Vec<Covered> {
    let mut found = Vec::new();
    for at in (0..entries.len()).rev() {
        let by = match proof(at, entries, inventory, &may_cover, budget) {
            Some(by) if by.is_empty() => continue,
            Some(by) => by,
            None => break,
        };
        let named = by.iter().take(NAMED).filter_map(|at| entries.get(*at));
        let named = named.map(|by| by.section.entry(by.index)).collect();
        if let Some(entry) = entries.get_mut(at) {
            entry.is_gone = true;
            let Entry { section, index, span, .. } = *entry;
            let more = by.len().saturating_sub(NAMED);
            found.push(Covered { section, index, span, by: named, more });
        }
    }
    found
}

/// The indexes of entries that together cover the one at `at`, as few as are found by leaving out one
/// after the other; none where it is not covered. `None` where the budget has ended.
fn proof<I: Items>(
    at: usize,
    entries: &[Entry<I>],
    inventory: &Inventory<'_>,
    may_cover: &impl Fn(usize, usize) -> bool,
    budget: &mut Budget,
) -> Option<Vec<usize>> {
    let none = Some(Vec::new());
    let Some(entry) = entries.get(at).filter(|entry| entry.is_candidate && !entry.is_gone) else {
        return none;
    };
    let Some(sample) = entry.allowed.first().and_then(Sample::of) else { return none };
    let mut others = Vec::new();
    let mut holders = Vec::new();
    for (index, other) in entries.iter().enumerate() {
        if index == at || other.is_gone || !may_cover(at, index) {
            continue;
        }
        budget.spend(1)?;
        others.push(index);
        let Some(allowed) = other.allowed.first() else { continue };
        if sample.is_in(allowed, inventory) {
            holders.push(index);
        }
    }
    if holders.is_empty() {
        return none;
    }
    let mut cover = |by: &[usize]| -> Option<bool> {
        for (version, allowed) in entry.allowed.iter().enumerate() {
            let by = by.iter().filter_map(|at| entries.get(*at)?.allowed.get(version));
            if !is_covered(allowed, &by.collect::<Vec<_>>(), inventory, budget)? {
                return Some(false);
            }
        }
        Some(true)
    };
    for holder in &holders {
        if cover(&[*holder])? {
            return Some(vec![*holder]);
        }
    }
    if entry.one_alone {
        return none;
    }
    others.retain(|at| entries.get(*at).is_some_and(|other| entry.touches(other)));
    if !cover(&others)? {
        return none;
    }
    // A proof that still names too many is one all the same.
    let mut needed = others;
    for index in (0..needed.len()).rev() {
        let mut fewer = needed.clone();
        fewer.remove(index);
        match cover(&fewer) {
            Some(true) => needed = fewer,
            Some(false) => {}
            None => break,
        }
    }
    Some(needed)
}

/// A connection that an entry allows: what others together cover, one of them must allow.
struct Sample<'e, I> {
    from: IpAddr,
    to: IpAddr,
    items: &'e I,
}

impl<'e, I: Items> Sample<'e, I> {
    fn of(allowed: &'e Allowed<I>) -> Option<Self> {
        let cell = allowed.any.first().or_else(|| allowed.own.first())?;
        let from = cell.sources.first()?;
        // From an address to itself is also between devices of one user.
        let to = if allowed.any.is_empty() { from } else { cell.destinations.first()? };
        Some(Self { from, to, items: &cell.items })
    }

    fn is_in(&self, allowed: &Allowed<I>, inventory: &Inventory<'_>) -> bool {
        let any = allowed.any.iter().any(|cell| {
            cell.sources.contains(self.from)
                && cell.destinations.contains(self.to)
                && cell.items.difference(self.items) != cell.items
        });
        let of_one_user = || {
            let user = |addr| owner(addr, inventory).and_then(|node| node.user);
            user(self.from).is_some() && user(self.from) == user(self.to)
        };
        let own = |cell: &Cell<I>| {
            cell.sources.contains(self.from) && cell.items.difference(self.items) != cell.items
        };
        any || (allowed.own.iter().any(own) && of_one_user())
    }
}

/// Whether `others` together allow all that `entry` does; `None` where the budget has ended.
fn is_covered<I: Items>(
    entry: &Allowed<I>,
    others: &[&Allowed<I>],
    inventory: &Inventory<'_>,
    budget: &mut Budget,
) -> Option<bool> {
    let any = || others.iter().flat_map(|other| &other.any);
    let own = || others.iter().flat_map(|other| &other.own);
    for left in remainder(entry.any.clone(), any(), budget)? {
        // What is left must be between devices of one user.
        let Some(devices) = left.sources.first().and_then(|addr| devices_with(addr, inventory))
        else {
            return Some(false);
        };
        let own: Vec<Cell<I>> = own().filter_map(|cell| cell.within(&devices)).collect();
        budget.spend(own.len())?;
        if !remainder(vec![left], &own, budget)?.is_empty() {
            return Some(false);
        }
    }
    for left in remainder(entry.own.clone(), own(), budget)? {
        let mut sources = left.sources.clone();
        while let Some(devices) = sources.first().and_then(|addr| devices_with(addr, inventory)) {
            budget.spend(1 + sources.parts())?;
            sources = sources.difference(&devices);
            let Some(part) = left.within(&devices) else { continue };
            if !remainder(vec![part], any(), budget)?.is_empty() {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// The addresses of all devices of the user of whom one has `addr`.
fn devices_with(addr: IpAddr, inventory: &Inventory<'_>) -> Option<IpSet> {
    let user = owner(addr, inventory)?.user?;
    Some(inventory.addresses(inventory.nodes_of_user(user).iter().copied()))
}
