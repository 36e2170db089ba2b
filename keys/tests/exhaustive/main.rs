//! The protocol of the plan holds whatever is lost, late or killed; simpler ones do not.

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
use world::{UNSETTLED, World};

/// Processes, faults, rotations.
const BOUNDS: [(usize, u8, u8); 5] = [(1, 1, 1), (1, 2, 2), (1, 3, 1), (2, 0, 1), (2, 1, 1)];

fn explored(protocol: Protocol, bounds: &[(usize, u8, u8)], cap: usize) -> Vec<Found> {
    bounds
        .iter()
        .map(|&(processes, faults, rotations)| {
            let found = explore(protocol, World::new(processes, faults, rotations), cap);
            println!(
                "{protocol:?}: {processes} processes, {faults} faults, {rotations} rotations: {} \
                 states, at most {} orphans, {} unnamed; {:?}",
                found.states,
                found.orphans,
                found.unnamed,
                found.violations.keys()
            );
            found
        })
        .collect()
}

#[test]
fn the_plan_holds_in_every_state_that_can_be_reached() {
    for found in explored(Protocol::Ours, &BOUNDS, usize::MAX) {
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
        Protocol::AsksAfterTheList,
        Protocol::WithoutGate,
        Protocol::ForgetsAtOnce,
        Protocol::PublishesBlindly,
    ] {
        let caught =
            explored(mutant, &BOUNDS, 60_000).iter().any(|found| !found.violations.is_empty());
        assert!(caught, "{mutant:?} passes for sound");
    }
}

/// The Go sidecar's: an orphan stays for ever after one fault.
#[test]
fn create_write_expire_leaves_orphans_for_good() {
    let found = explored(Protocol::Naive, &[(1, 1, 1)], usize::MAX);
    assert!(found.iter().all(|found| found.violations.contains_key(UNSETTLED)), "{found:?}");
}
