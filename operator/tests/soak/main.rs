//! Random edits of all that can be declared, by hand and on purpose, with the operator killed at
//! random: in the end all is as declared, what is refused leaves what was there, and then nothing is
//! written.
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
mod document;
mod edit;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/instance.rs"]
mod instance;
mod outcome;
mod people;
mod policies;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/program.rs"]
mod program;
mod random;
mod server;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../faults/world.rs"]
mod world;

use std::time::{Duration, Instant};

use headscale_standin::Version;
use rustix::process::Signal;

use crate::bench::Bench;
use crate::edit::Declared;
use crate::program::{Operator, Running};
use crate::random::Random;

/// How many edits where nothing else is asked for.
const EDITS: usize = 200;
/// One in so many edits comes with a kill.
const KILLED: u32 = 12;
/// How often all that Headscale has is looked at until nothing can be left to be written: longer than
/// the time after which each object is looked at again.
const LOOKS: usize = 12;
/// How long it may take until all is as declared, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().ok().unwrap_or_else(|| panic!("{name}={text} is no number")))
}

fn operator(bench: &Bench) -> Operator {
    bench.operator().flag("resync", "1s").flag("log-level", "info")
}

/// What is shown of a run that failed.
fn failure(bench: &Bench, declared: &Declared, running: &Running, seed: u64) -> String {
    let (said, log) = (declared.history.join("\n"), running.log());
    format!("SOAK_SEED={seed}, {:?}\n{said}\n{log}", bench.version)
}

/// Waits until all is as declared.
async fn converge(bench: &Bench, declared: &Declared, running: &Running, seed: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let wrong = declared.differences(bench).await;
        if wrong.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{wrong:#?}: {}",
            failure(bench, declared, running, seed)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_edits_and_kills_end_in_what_is_declared() {
    let edits = number("SOAK_EDITS").unwrap_or(EDITS);
    let seed = number("SOAK_SEED").unwrap_or_else(|| std::process::id().into());
    println!("SOAK_EDITS={edits} SOAK_SEED={seed}");
    let mut random = Random::new(seed);
    let version = [Version::V0_28, Version::V0_29, Version::V0_30][random.below(3)];
    let Some(bench) = Bench::new(version).await else { return };
    server::begin(&bench).await;
    tokio::select! {
        () = soak(&bench, edits, seed, random) => {}
        () = server::play(&bench) => {}
    }
}

/// Edits, kills, and sees what comes of it.
#[expect(clippy::print_stdout, reason = "whoever runs a soak wants to know")]
async fn soak(bench: &Bench, edits: usize, seed: u64, mut random: Random) {
    let mut running = operator(bench).start();
    let mut declared = Declared::default();
    let (began, mut kills) = (Instant::now(), 0);
    let mut since_lost = usize::MAX;
    for _ in 0..edits {
        let edit = declared.edit(bench, &mut random).await;
        let edit = edit.unwrap_or_else(|wrong| {
            panic!("{wrong}: {}", failure(bench, &declared, &running, seed))
        });
        since_lost = if edit.contains(" a Secret") { 0 } else { since_lost.saturating_add(1) };
        if random.one_in(KILLED) {
            // Nobody knows of a key that was being made where both lose their memory of it: the
            // Secret to somebody's hand, and the process to this.
            declared.people.spare += usize::from(since_lost < 3);
            // Amid whatever it does about the last edits.
            tokio::time::sleep(Duration::from_millis(random.below(150) as u64)).await;
            running.signal(Signal::KILL);
            running = operator(bench).start();
            kills += 1;
        }
        assert!(running.status().is_none(), "it ended after {edit}: {}", running.log());
        // It may keep up, or not.
        tokio::time::sleep(Duration::from_millis(random.below(20) as u64)).await;
    }
    let done = began.elapsed();
    declared.come_to_rest(bench).await;
    converge(bench, &declared, &running, seed).await;
    let converged = began.elapsed() - done;
    world::is_quiet(bench, &mut running, LOOKS).await;
    let quiet = began.elapsed();
    let mended = declared.mend(bench, &mut random).await;
    mended.unwrap_or_else(|wrong| panic!("{wrong}: {}", failure(bench, &declared, &running, seed)));
    converge(bench, &declared, &running, seed).await;
    let mended = began.elapsed() - quiet;
    // Another knows nothing, and has nothing to write either.
    drop(running);
    let mut running = operator(bench).start();
    world::is_quiet(bench, &mut running, LOOKS).await;
    bench.tells_no_secret().await;
    println!(
        "{edits} edits of {:?} and {kills} kills in {done:?}; all was as declared \
         {converged:?} later, and {mended:?} after what was refused was mended, and then nothing \
         was written; {:?} in all",
        bench.version,
        began.elapsed()
    );
}
