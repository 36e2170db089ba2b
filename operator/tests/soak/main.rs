//! Random edits, by hand and on purpose, with the operator killed at random: in the end Headscale
//! has what is declared, and then nothing is written.
//!
//! `SOAK_EDITS` says how many (200), `SOAK_SEED` which; the seed is printed, and one that failed
//! makes the same edits again.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a helper of a test fails by a panic, as the test does"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/bench.rs"]
mod bench;
mod edit;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/program.rs"]
mod program;
mod random;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../faults/world.rs"]
mod world;

use std::time::{Duration, Instant};

use headscale_standin::Version;
use rustix::process::Signal;

use crate::bench::Bench;
use crate::edit::Declared;
use crate::program::Operator;
use crate::random::Random;

/// How many edits where nothing else is asked for.
const EDITS: usize = 200;
/// One in so many edits comes with a kill.
const KILLED: u32 = 12;
/// How long it may take until all is as declared, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().ok().unwrap_or_else(|| panic!("{name}={text} is no number")))
}

fn operator(bench: &Bench) -> Operator {
    bench.operator().flag("resync", "1s").flag("log-level", "info")
}

#[tokio::test(flavor = "multi_thread")]
async fn random_edits_and_kills_end_in_what_is_declared() {
    let edits = number("SOAK_EDITS").unwrap_or(EDITS);
    let seed = number("SOAK_SEED").unwrap_or_else(|| std::process::id().into());
    println!("SOAK_EDITS={edits} SOAK_SEED={seed}");
    let mut random = Random::new(seed);
    let version = [Version::V0_28, Version::V0_29, Version::V0_30][random.below(3)];
    let Some(bench) = Bench::new(version).await else { return };
    let mut running = operator(&bench).start();
    let mut declared = Declared::default();
    let (began, mut kills) = (Instant::now(), 0);
    let mut since_lost = usize::MAX;
    for _ in 0..edits {
        let edit = declared.edit(&bench, &mut random).await;
        since_lost = if edit.contains(" a Secret") { 0 } else { since_lost.saturating_add(1) };
        if random.one_in(KILLED) {
            // Nobody knows of a key that was being made where both lose their memory of it: the
            // Secret to somebody's hand, and the process to this.
            declared.spare += usize::from(since_lost < 3);
            // Amid whatever it does about the last edits.
            tokio::time::sleep(Duration::from_millis(random.below(150) as u64)).await;
            running.signal(Signal::KILL);
            running = operator(&bench).start();
            kills += 1;
        }
        assert!(running.status().is_none(), "it ended after {edit}: {}", running.log());
        // It may keep up, or not.
        tokio::time::sleep(Duration::from_millis(random.below(60) as u64)).await;
    }
    let done = began.elapsed();
    declared.come_to_rest(&bench).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let wrong = declared.differences(&bench).await;
        if wrong.is_empty() {
            break;
        }
        let said = declared.history.join("\n");
        assert!(
            Instant::now() < deadline,
            "SOAK_SEED={seed}, {version:?}: {wrong:#?}\n{said}\n{}",
            running.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let converged = began.elapsed() - done;
    world::is_quiet(&bench, &mut running).await;
    bench.tells_no_secret().await;
    println!(
        "{edits} edits and {kills} kills in {done:?}; all was as declared {converged:?} later, and \
         then nothing was written"
    );
}
