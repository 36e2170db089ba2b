//! Tries everything that can happen, with a recovery from each state.

use std::ops::ControlFlow;

use super::operator::Kind;
use super::world::World;
use crate::model::search::search;

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
    pub(crate) way: String,
}

/// More turns than any recovery takes.
const TURNS: usize = 200;

/// Explores all that can happen with at most `faults` faults, up to the first thing that is wrong.
pub(crate) fn explore(kind: Kind, faults: u8) -> Report {
    let mut report = Report { states: 0, found: None, way: String::new() };
    report.states = search(World::new(faults), usize::MAX, |world, ways| {
        report.found = recovery(kind, world);
        if report.found.is_some() {
            report.way = ways.to(world);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(successors(kind, world))
    });
    report
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
