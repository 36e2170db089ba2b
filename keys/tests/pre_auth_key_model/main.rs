//! The protocol of pre-auth keys holds whatever is lost, late or killed; simpler ones do not.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a helper of a test fails by a panic, as the test does"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../model/mod.rs"]
mod model;
mod protocol;
mod world;

use std::collections::HashMap;

use model::processes::{Found, explore};
use protocol::Protocol;
use world::{Bounds, World};

const BOUNDS: [Bounds; 6] = [
    Bounds { processes: 1, faults: 1, changes: 1, creates: 4, may_end: true },
    Bounds { processes: 1, faults: 2, changes: 1, creates: 4, may_end: true },
    Bounds { processes: 1, faults: 3, changes: 0, creates: 4, may_end: true },
    Bounds { processes: 1, faults: 3, changes: 1, creates: 4, may_end: false },
    // Two at once end no object: that only the holder of the Lease does.
    Bounds { processes: 2, faults: 0, changes: 1, creates: 4, may_end: false },
    Bounds { processes: 2, faults: 1, changes: 0, creates: 3, may_end: false },
];

fn explored(protocol: Protocol, cap: usize) -> impl Iterator<Item = Found> {
    BOUNDS.iter().map(move |bounds| {
        let found = explore(protocol, World::new(bounds), cap);
        println!(
            "{protocol:?}, {bounds:?}: {} states, at most {} orphans, {} unnamed; {:?}",
            found.states,
            found.orphans,
            found.unnamed,
            found.violations.keys()
        );
        found
    })
}

#[test]
fn the_plan_holds_in_every_state_that_can_be_reached() {
    for found in explored(Protocol::Ours, usize::MAX) {
        assert_eq!(found.violations, HashMap::new());
        assert!(found.states > 100, "the exploration saw only {} states", found.states);
        assert_eq!((found.orphans, found.unnamed), (1, 0));
    }
}

/// Each must be caught within the bounds, else the exploration proves nothing about ours.
#[test]
fn simpler_protocols_are_found_out() {
    for mutant in [
        Protocol::Naive,
        Protocol::WithoutFence,
        Protocol::WithoutGate,
        Protocol::ForgetsAtOnce,
        Protocol::PublishesBlindly,
        Protocol::EndsAtOnce,
    ] {
        let caught = explored(mutant, 60_000).any(|found| !found.violations.is_empty());
        assert!(caught, "{mutant:?} passes for sound");
    }
}
