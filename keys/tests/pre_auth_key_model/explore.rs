//! Tries everything that can happen, breadth first.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::protocol::{Protocol, Step};
use crate::world::{Process, World};

/// What an exploration found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) states: usize,
    /// The most orphans at any instant.
    pub(crate) orphans: u32,
    /// The most that the record did not name.
    pub(crate) unnamed: u32,
    /// What went wrong.
    pub(crate) violations: BTreeSet<&'static str>,
    /// The shortest way to the first of each violation, for whoever reads a failure.
    pub(crate) ways: Vec<String>,
}

const DEAD_KEY: &str = "the Secret holds no key that works";
const ORPHANS: &str = "more than one key is neither current nor retiring";
const UNNAMED: &str = "a key works that the record does not name";
const LEFT: &str = "the object is gone, and a key of it works or may come";
const FOREIGN: &str = "somebody else's key is gone";
const UNSETTLED: &str = "without faults it does not come to one key, or none, and no writes";

/// Explores from the first world. `cap` bounds the states of broken protocols.
pub(crate) fn explore(protocol: Protocol, start: World, cap: usize) -> Found {
    let mut found = Found::default();
    let mut came_from: HashMap<World, Option<World>> = HashMap::from([(start.clone(), None)]);
    let mut queue = VecDeque::from([start]);
    while let Some(world) = queue.pop_front() {
        if came_from.len() > cap {
            break;
        }
        found.orphans = found.orphans.max(world.orphans().len());
        found.unnamed = found.unnamed.max(world.unnamed().len());
        let (next, quiet) = successors(protocol, &world);
        let wrong = [
            (world.holds_a_dead_key(), DEAD_KEY),
            (world.orphans().len() > 1, ORPHANS),
            (world.unnamed().len() > 0, UNNAMED),
            (world.left_something(), LEFT),
            (world.touched_what_is_not_ours(), FOREIGN),
            (quiet && world.next <= world.creates && !world.is_settled(), UNSETTLED),
        ];
        for (_, what) in wrong.into_iter().filter(|(holds, _)| *holds) {
            if found.violations.insert(what) {
                found.ways.push(format!("{what}:\n{}", way(&came_from, &world)));
            }
        }
        for world_after in next {
            if !came_from.contains_key(&world_after) {
                came_from.insert(world_after.clone(), Some(world.clone()));
                queue.push_back(world_after);
            }
        }
    }
    found.states = came_from.len();
    found
}

/// Everything that may come next, and whether nothing will come by itself.
fn successors(protocol: Protocol, world: &World) -> (Vec<World>, bool) {
    let mut next = Vec::new();
    for request in &world.late {
        let mut lost = world.clone();
        lost.late.remove(request);
        let mut arrived = lost.clone();
        arrived.apply(*request);
        next.extend([lost, arrived]);
    }
    if let (Some(wish), Some(changes)) = (world.wish, world.changes.checked_sub(1)) {
        next.push(World { wish: Some(wish + 1), changes, ..world.clone() });
    }
    if world.wish.is_some() && world.may_end {
        next.push(World { wish: None, may_end: false, ..world.clone() });
    }
    let mut quiet = world.late.is_empty();
    for index in 0..world.processes.len() {
        for Step { world: mut before, request, then, refused } in protocol.steps(world, index) {
            quiet = false;
            let Some(request) = request else {
                before.processes[index] = then;
                next.push(before);
                continue;
            };
            if let Some(faults) = before.faults.checked_sub(1) {
                let faulty = World { faults, ..before.clone() };
                let mut unanswered = faulty.clone();
                unanswered.apply(request);
                let mut delayed = faulty.clone();
                delayed.late.insert(request);
                // Each may kill the process, or come to it as an error, after which it goes on.
                for mut killed in [faulty, unanswered, delayed] {
                    let mut goes_on = killed.clone();
                    goes_on.processes[index] = refused;
                    killed.processes[index] = Process::START;
                    next.extend([killed, goes_on]);
                }
            }
            let taken = before.apply(request);
            before.processes[index] = if taken { then } else { refused };
            next.push(before);
        }
    }
    (next, quiet)
}

fn way(came_from: &HashMap<World, Option<World>>, end: &World) -> String {
    let mut worlds: Vec<&World> =
        std::iter::successors(Some(end), |world| came_from.get(*world)?.as_ref()).collect();
    worlds.reverse();
    worlds.iter().map(|world| format!("  {world:?}\n")).collect()
}
