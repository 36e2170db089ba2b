//! Visits every state, nearest first.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::operator::Kind;
use super::world::World;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Two keys can be used at a time.
    TwoKeys,
    /// The pod never gets in.
    Stuck,
}

pub(crate) struct Report {
    pub(crate) states: usize,
    pub(crate) found: Option<Found>,
    /// How one gets there.
    pub(crate) trace: Vec<String>,
}

/// More turns than any recovery takes.
const TURNS: usize = 200;

/// Explores all that can happen with at most `faults` faults, up to the first thing that is wrong.
pub(crate) fn explore(kind: Kind, faults: u8) -> Report {
    let first = Rc::new(World::new(faults));
    let mut from: HashMap<Rc<World>, Option<(&'static str, Rc<World>)>> = HashMap::new();
    from.insert(Rc::clone(&first), None);
    let mut queue = VecDeque::from([first]);
    while let Some(world) = queue.pop_front() {
        let found = recovery(kind, &world);
        if found.is_some() {
            return Report { states: from.len(), found, trace: trace(&from, &world) };
        }
        for (name, next) in successors(kind, &world) {
            let next = Rc::new(next);
            if !from.contains_key(&next) {
                from.insert(Rc::clone(&next), Some((name, Rc::clone(&world))));
                queue.push_back(next);
            }
        }
    }
    Report { states: from.len(), found: None, trace: Vec::new() }
}

fn successors(kind: Kind, world: &World) -> Vec<(&'static str, World)> {
    let steps = [
        ("pod", world.pod_steps()),
        ("operator", world.operator_steps(kind)),
        ("kubelet", world.kubelet_syncs()),
    ];
    let steps = steps.into_iter().filter_map(|(name, next)| Some((name, next?)));
    steps.chain(world.time_passes()).chain(world.faults()).chain(world.operator_faults()).collect()
}

/// What is wrong when everybody has a turn after the other and no more faults happen.
fn recovery(kind: Kind, world: &World) -> Option<Found> {
    let mut world = world.clone();
    for _ in 0..TURNS {
        if world.usable() > 1 {
            return Some(Found::TwoKeys);
        }
        let at_rest = world.operator_steps(kind).is_none() && world.kubelet_syncs().is_none();
        if world.is_done() && at_rest {
            return None;
        }
        if let Some((_, next)) = world.time_passes().into_iter().next() {
            world = next;
        }
        world = world.operator_steps(kind).unwrap_or(world);
        world = world.pod_steps().unwrap_or(world);
        world = world.kubelet_syncs().unwrap_or(world);
    }
    Some(Found::Stuck)
}

fn trace(from: &HashMap<Rc<World>, Option<(&'static str, Rc<World>)>>, end: &World) -> Vec<String> {
    let mut steps = vec![format!("{end:?}")];
    let mut at = from.get(end).and_then(Option::as_ref);
    while let Some((name, before)) = at {
        steps.push((*name).to_owned());
        at = from.get(before).and_then(Option::as_ref);
    }
    steps.reverse();
    steps
}
