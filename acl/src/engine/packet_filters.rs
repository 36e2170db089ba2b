//! The packet filters of all nodes, held as references into the rules of the policy.

use std::borrow::Cow;
use std::rc::Rc;

use foldhash::HashMap;

use super::answers::Form;
use super::compile::Plan;
use super::filter::{allow_all, reduced_prefixes};
use super::inventory::{Inventory, Node};
use super::merge::{MergeKeys, MergedId};
use super::output::FilterRule;
use super::rule::{Body, Rule, Sources, Target};
use super::scoped::{Scope, Scoped};
use crate::policy::Prefix;
use crate::semantics::FilterForm;

/// The packet filter of every node.
///
/// A rule is held once, however many nodes it concerns; a node holds which stretches of the
/// destinations of which rules it keeps. Building costs a search for each destination plus all that
/// is kept; memory is the rules plus 12 bytes for each stretch.
#[derive(Debug)]
pub struct PacketFilters<'n> {
    inventory: &'n Inventory<'n>,
    /// Those for all nodes in merged order, then those for some nodes by scope.
    parts: Vec<Part<'n>>,
    /// What each node keeps, in the order in which it is sent.
    kept: Vec<Vec<Kept>>,
}

/// A rule before merging, as a part of the merged one.
#[derive(Debug)]
struct Part<'n> {
    rule: Cow<'n, Rule>,
    merged: MergedId,
    position: Position,
    scope: Scope,
}

/// Where a rule stands before merging: entry, phase in the entry, and number in the phase.
type Position = (usize, u8, usize);

/// A stretch of destinations of a part: from one up to another that is not in it. Destinations of
/// capabilities count through all grants of the rule.
#[derive(Clone, Copy, Debug)]
struct Kept {
    part: u32,
    from: u32,
    to: u32,
}

impl<'n> PacketFilters<'n> {
    pub(crate) fn of(
        plan: &'n Plan,
        scoped: &'n [Scoped],
        inventory: &'n Inventory<'n>,
        form: FilterForm,
    ) -> Self {
        // Up to 0.28 what is for own devices comes before what is for all, since then after it.
        let (common_phase, own_phase) = if form == FilterForm::V0_28 { (1, 0) } else { (0, 1) };
        let mut keys = MergeKeys::default();
        let mut part = |rule: Cow<'n, Rule>, position, scope| {
            let merged = keys.id_of(&rule, form);
            Part { rule, merged, position, scope }
        };
        let mut parts = Vec::new();
        match &plan.entries {
            None => parts.push(part(Cow::Owned(allow_all()), (0, 0, 0), Scope::All)),
            Some(entries) => {
                for (entry, rules) in entries.iter().map(|entry| &entry.common).enumerate() {
                    parts.extend(rules.iter().enumerate().map(|(at, rule)| {
                        part(Cow::Borrowed(rule), (entry, common_phase, at), Scope::All)
                    }));
                }
            }
        }
        let common = parts.len();
        for Scoped { scope, entry, rules } in scoped {
            let phase = if matches!(scope, Scope::Node(_)) { 2 } else { own_phase };
            parts.extend(
                rules
                    .iter()
                    .enumerate()
                    .map(|(at, rule)| part(Cow::Borrowed(rule), (*entry, phase, at), *scope)),
            );
        }
        let mut firsts = vec![None; keys.len()];
        for part in parts.iter().take(common) {
            if let Some(first) = firsts.get_mut(part.merged as usize) {
                first.get_or_insert(part.position);
            }
        }
        let first_of = |merged: MergedId| firsts.get(merged as usize).copied().flatten();
        if let Some(common) = parts.get_mut(..common) {
            common.sort_by_key(|part| (first_of(part.merged), part.position));
        }
        let mut filters = Self { inventory, kept: vec![Vec::new(); inventory.nodes.len()], parts };
        filters.reduce(form);
        filters.order_scoped(common, first_of);
        filters
    }

    /// Finds what each node keeps of each part.
    fn reduce(&mut self, form: FilterForm) {
        let Self { inventory, parts, kept } = self;
        let mut found = Vec::new();
        for (number, part) in (0_u32..).zip(parts.iter()) {
            let mut from = 0_u32;
            for (target, count) in stretches(&part.rule.body) {
                let to = from + count as u32;
                found.clear();
                match (&part.rule.body, target.prefix()) {
                    (Body::Ports { .. }, Some(prefix)) => {
                        inventory.concerned_by(prefix, form, &mut found);
                    }
                    (Body::Ports { .. }, None) => found.extend_from_slice(&inventory.reachable),
                    (Body::Caps(_), Some(prefix)) => inventory.reached_by(prefix, &mut found),
                    (Body::Caps(_), None) => {}
                }
                for at in found.iter().copied() {
                    let in_scope = part.scope == Scope::All
                        || (inventory.node(at as usize))
                            .is_some_and(|node| part.scope.holds(at, node));
                    let Some(kept) = kept.get_mut(at as usize).filter(|_| in_scope) else {
                        continue;
                    };
                    match kept.last_mut() {
                        Some(last) if last.part == number && last.to >= from => last.to = to,
                        _ => kept.push(Kept { part: number, from, to }),
                    }
                }
                from = to;
            }
        }
    }

    /// Puts what nodes keep of rules for some nodes where it belongs. A merged rule stands where
    /// the first of its parts stands, even if the node keeps nothing of that part.
    fn order_scoped(&mut self, common: usize, first_of: impl Fn(MergedId) -> Option<Position>) {
        let Self { inventory, parts, kept } = self;
        let scoped = parts.get(common..).unwrap_or_default();
        let by_scope: HashMap<Scope, &[Part<'_>]> = scoped
            .chunk_by(|a, b| a.scope == b.scope)
            .filter_map(|parts| Some((parts.first()?.scope, parts)))
            .collect();
        if by_scope.is_empty() {
            return;
        }
        let mut firsts: HashMap<MergedId, Position> = HashMap::default();
        for ((at, node), kept) in (0_u32..).zip(&inventory.nodes).zip(kept) {
            let own = node.user.and_then(|user| by_scope.get(&Scope::Devices(user)));
            let via = by_scope.get(&Scope::Node(at));
            if own.is_none() && via.is_none() {
                continue;
            }
            firsts.clear();
            for part in own.into_iter().chain(via).copied().flatten() {
                let first = firsts.entry(part.merged).or_insert(part.position);
                *first = part.position.min(*first);
            }
            kept.sort_by_cached_key(|kept| {
                let part = parts.get(kept.part as usize)?;
                let everywhere = first_of(part.merged);
                let here = firsts.get(&part.merged).copied();
                let first = everywhere.into_iter().chain(here).min();
                Some((first, part.position, kept.from))
            });
        }
    }

    /// The rules that the node at `index` is sent, in Headscale's order.
    pub(super) fn rules_as<'s, F: Form<'s>>(
        &'s self,
        index: usize,
        form: &F,
    ) -> impl Iterator<Item = FilterRule<F::List, F::Text>> {
        self.merged(index).filter_map(move |kept| {
            let (sources, body) = self.rule(index, kept)?;
            Some(FilterRule::of(form.sources(sources), &body))
        })
    }

    /// How many rules the node at `index` is sent.
    #[must_use]
    pub fn rule_count(&self, index: usize) -> usize {
        self.merged(index).count()
    }

    /// How many stretches of destinations all nodes keep together: the size of the answer.
    #[must_use]
    pub fn size(&self) -> usize {
        self.kept.iter().map(Vec::len).sum()
    }

    fn merged(&self, index: usize) -> impl Iterator<Item = &[Kept]> {
        let kept = self.kept.get(index).map(Vec::as_slice).unwrap_or_default();
        let merged = |kept: &Kept| self.parts.get(kept.part as usize).map(|part| part.merged);
        kept.chunk_by(move |a, b| merged(a) == merged(b))
    }

    /// The sources of one merged rule, and the rest of it, reduced.
    fn rule(&self, index: usize, kept: &[Kept]) -> Option<(&Rc<Sources>, Body)> {
        let rules = kept.iter().filter_map(|kept| {
            let part = self.parts.get(kept.part as usize)?;
            Some((part.rule.as_ref(), kept.from as usize..kept.to as usize))
        });
        let (first, _) = rules.clone().next()?;
        let body = match &first.body {
            Body::Ports { protocols, .. } => {
                let mut kept = Vec::new();
                for (rule, range) in rules {
                    if let Body::Ports { targets, .. } = &rule.body {
                        kept.extend_from_slice(targets.get(range).unwrap_or_default());
                    }
                }
                Body::Ports { protocols: protocols.clone(), targets: kept }
            }
            Body::Caps(grants) => {
                let node = self.inventory.node(index)?;
                let kept: Vec<_> = rules.map(|(_, range)| range).collect();
                let mut from = 0;
                let grants = grants.iter().filter_map(|(prefixes, caps)| {
                    let start = from;
                    from += prefixes.len();
                    let prefixes = kept.iter().flat_map(|kept| {
                        let within = kept.start.max(start)..kept.end.min(from);
                        let within =
                            within.start.saturating_sub(start)..within.end.saturating_sub(start);
                        prefixes.get(within).unwrap_or_default()
                    });
                    let prefixes = reduced_prefixes(prefixes.copied(), node);
                    (!prefixes.is_empty()).then(|| (prefixes, Rc::clone(caps)))
                });
                Body::Caps(grants.collect())
            }
        };
        Some((&first.sources, body))
    }
}

/// The destinations of a rule with how often each stands there in a row.
fn stretches(body: &Body) -> impl Iterator<Item = (Target, usize)> {
    let (targets, grants): (&[_], &[_]) = match body {
        Body::Ports { targets, .. } => (targets, &[]),
        Body::Caps(grants) => (&[], grants),
    };
    let targets = targets.chunk_by(|a, b| a.0 == b.0);
    let targets = targets.filter_map(|chunk| Some((chunk.first()?.0, chunk.len())));
    let single = |prefix: &Prefix| (Target::Net(*prefix), 1);
    targets.chain(grants.iter().flat_map(move |(prefixes, _)| prefixes.iter().map(single)))
}

impl Inventory<'_> {
    /// Appends the nodes whose packet filters keep a destination `prefix` for ports; a node may be
    /// appended more than once.
    fn concerned_by(&self, prefix: Prefix, form: FilterForm, found: &mut Vec<u32>) {
        found.extend(self.nodes_within(prefix));
        let routes = match form {
            // Announced routes count even where nobody approved them.
            FilterForm::V0_28 => &self.announced,
            FilterForm::V0_29 => &self.subnet_routes,
        };
        for nodes in routes.overlapping(prefix) {
            found.extend_from_slice(nodes);
        }
        let internet = form == FilterForm::V0_29
            && !self.exit_nodes.is_empty()
            && super::resolve::INTERNET.contains_all(prefix);
        if internet {
            found.extend(self.exit_nodes.iter().map(|at| *at as u32));
        }
    }

    /// The same for capabilities.
    fn reached_by(&self, prefix: Prefix, found: &mut Vec<u32>) {
        found.extend(self.nodes_within(prefix));
        for nodes in self.subnet_routes.overlapping(prefix) {
            found.extend_from_slice(nodes);
        }
    }
}

/// A node with an address or a subnet route: what a destination of everything concerns.
pub(crate) fn is_reachable(node: &Node) -> bool {
    !node.addrs.is_empty() || !node.subnet_routes.is_empty()
}
