//! Processes that make keys by requests, each of which may go well, be dropped, be carried out
//! without a reply, or arrive at any later time; after each of the last three the process starts
//! anew and knows nothing, or goes on after an error.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::ControlFlow;

use super::search::search;

/// Those who act, and what is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Actors<R, P> {
    pub(crate) processes: Vec<P>,
    /// Requests that may still arrive, or never.
    pub(crate) late: BTreeSet<R>,
    /// How many more go wrong.
    pub(crate) faults: u8,
}

impl<R, P: Clone> Actors<R, P> {
    pub(crate) fn new(processes: usize, start: P, faults: u8) -> Self {
        Self { processes: vec![start; processes], late: BTreeSet::new(), faults }
    }
}

/// One thing that a process may do: a request if it makes one, and where it stands after it.
#[derive(Clone, Debug)]
pub(crate) struct Step<W: World> {
    /// The world before the request, with what was used up.
    pub(crate) world: W,
    pub(crate) request: Option<W::Request>,
    pub(crate) then: W::Process,
    /// Where it stands instead when somebody else wrote the Secret meanwhile.
    pub(crate) refused: W::Process,
}

/// All there is.
pub(crate) trait World: Clone + Debug + Eq + Hash {
    /// How a process goes about it.
    type Protocol: Copy;
    /// What changes something.
    type Request: Clone + Copy + Debug + Ord;
    /// Where a process stands.
    type Process: Clone + Copy + Debug;

    /// One that knows nothing.
    const START: Self::Process;

    fn actors(&self) -> &Actors<Self::Request, Self::Process>;
    fn actors_mut(&mut self) -> &mut Actors<Self::Request, Self::Process>;
    /// Carries a request out; whether it was taken.
    fn apply(&mut self, request: Self::Request) -> bool;
    /// What a process may do next.
    fn steps(&self, protocol: Self::Protocol, index: usize) -> Vec<Step<Self>>;
    /// What users may do next.
    fn wishes(&self) -> Vec<Self>;
    /// What is wrong; `quiet`: nothing comes by itself.
    fn wrong(&self, quiet: bool) -> Vec<&'static str>;
    /// How many keys work and are neither current nor retiring nor somebody else's.
    fn orphans(&self) -> u32;
    /// How many of them the record does not name.
    fn unnamed(&self) -> u32;
}

/// What an exploration found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) states: usize,
    /// The most orphans at any instant.
    pub(crate) orphans: u32,
    /// The most that the record did not name.
    pub(crate) unnamed: u32,
    /// What went wrong, and the shortest way to the first of each, for whoever reads a failure.
    pub(crate) violations: HashMap<&'static str, String>,
}

/// Explores from the first world. `cap` bounds the states of broken protocols.
pub(crate) fn explore<W: World>(protocol: W::Protocol, start: W, cap: usize) -> Found {
    let mut found = Found::default();
    found.states = search(start, cap, |world, ways| {
        found.orphans = found.orphans.max(world.orphans());
        found.unnamed = found.unnamed.max(world.unnamed());
        let (next, quiet) = successors(protocol, world);
        for what in world.wrong(quiet) {
            found.violations.entry(what).or_insert_with(|| ways.to(world));
        }
        ControlFlow::Continue(next)
    });
    found
}

/// Everything that may come next, and whether nothing will come by itself.
fn successors<W: World>(protocol: W::Protocol, world: &W) -> (Vec<(&'static str, W)>, bool) {
    let mut next = Vec::new();
    for request in &world.actors().late {
        let mut lost = world.clone();
        lost.actors_mut().late.remove(request);
        let mut arrived = lost.clone();
        arrived.apply(*request);
        next.extend([("lost", lost), ("arrived late", arrived)]);
    }
    next.extend(world.wishes().into_iter().map(|wish| ("a wish", wish)));
    let mut quiet = world.actors().late.is_empty();
    for index in 0..world.actors().processes.len() {
        for Step { world: mut before, request, then, refused } in world.steps(protocol, index) {
            quiet = false;
            let Some(request) = request else {
                before.actors_mut().processes[index] = then;
                next.push(("a step", before));
                continue;
            };
            if let Some(faults) = before.actors().faults.checked_sub(1) {
                let mut dropped = before.clone();
                dropped.actors_mut().faults = faults;
                let mut unanswered = dropped.clone();
                unanswered.apply(request);
                let mut delayed = dropped.clone();
                delayed.actors_mut().late.insert(request);
                // Each may kill the process, or come to it as an error, after which it goes on.
                for mut killed in [dropped, unanswered, delayed] {
                    let mut goes_on = killed.clone();
                    goes_on.actors_mut().processes[index] = refused;
                    killed.actors_mut().processes[index] = W::START;
                    next.extend([("a kill", killed), ("an error", goes_on)]);
                }
            }
            let taken = before.apply(request);
            before.actors_mut().processes[index] = if taken { then } else { refused };
            next.push(("a request", before));
        }
    }
    (next, quiet)
}
