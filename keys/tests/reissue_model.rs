//! Every state that one replica, its pod, the operator and Headscale can get into, with crashes,
//! lost answers, conflicts and outages at every step: both sides are the real functions.
//!
//! In each state at most one key can be used that was not, and once faults stop the pod gets in.
//! Broken operators, upstream's among them, are caught.
//!
//! One operator at a time is assumed, as its lease grants, and that a request which it gave up has
//! ended before the next one is sent.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod model;
mod reissue_model {
    pub(super) mod explore;
    pub(super) mod operator;
    pub(super) mod world;
}

use reissue_model::explore::{Found, explore};
use reissue_model::operator::Kind;

/// How many faults a run may have.
const FAULTS: u8 = 5;

#[test]
fn no_interleaving_of_faults_makes_two_keys_or_leaves_the_node_out() {
    let report = explore(Kind::Ours, FAULTS);
    assert_eq!(report.found, None, "{}", report.way);
    // A model that hardly moves proves nothing.
    assert!(report.states > 10_000, "{} states", report.states);
}

#[test]
fn an_operator_that_notes_in_memory_what_it_has_not_done_is_caught() {
    assert_eq!(explore(Kind::InFlightInMemory, 1).found, Some(Found::Stuck));
}

#[test]
fn an_operator_that_stores_that_it_answered_before_it_did_is_caught() {
    assert_eq!(explore(Kind::InFlightStored, 1).found, Some(Found::Stuck));
}

#[test]
fn an_operator_that_makes_keys_without_writing_so_before_is_caught() {
    assert_eq!(explore(Kind::NoIntent, 1).found, Some(Found::TwoKeys));
}

#[test]
fn an_operator_that_forgets_that_it_answered_is_caught() {
    assert_eq!(explore(Kind::ForgetsAnswered, 1).found, Some(Found::TwoKeys));
}
