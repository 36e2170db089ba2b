//! Wall clocks that are set, and time that passes faster than a test can wait.

use std::time::Duration;

use headscale_keys::{Settings, State};
use headscale_sidecar::apikey::clock::{Clock, SystemClock};
use headscale_sidecar::apikey::headscale::{Access, Address, Headscale};
use headscale_sidecar::apikey::manager::{Limits, Manager, Turn};
use headscale_sidecar::apikey::store::SecretStore;
use jiff::{SignedDuration, Timestamp};

use crate::bench::{Bench, SECRET, Way};

/// The wall clock of the stand-in, which a test sets.
struct Wall {
    wall: headscale_standin::Clock,
    system: SystemClock,
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        self.wall.now()
    }

    fn elapsed(&self) -> Duration {
        self.system.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.system.sleep(duration).await;
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn manager(bench: &Bench) -> Manager<SecretStore, Wall> {
    let store = SecretStore::new(bench.cluster.client(), &bench.namespace, SECRET);
    let access = Access::Socket(bench.path("headscale.sock"));
    let url = bench.headscale.url().expect("it listens");
    let address = Address { url, ca: None, server_name: None };
    let headscale = Headscale::new(access, Some(address), Duration::from_secs(10));
    let limits =
        Limits { send_deadline: Duration::from_secs(5), in_flight: Duration::from_millis(100) };
    let settings = Settings::new(HOUR * 2160, HOUR * 240, Some(HOUR)).expect("sound");
    let clock = Wall { wall: bench.clock.clone(), system: SystemClock::default() };
    Manager::new(store, headscale.expect("a URL"), clock, settings, limits, SECRET, "headscale-0")
}

/// Turns until there is nothing to do; gives how many keys were published.
async fn settle(bench: &Bench, manager: &mut Manager<SecretStore, Wall>) -> u32 {
    let mut published = 0;
    for _ in 0..50 {
        match manager.turn().await.expect("nothing is in the way") {
            Turn::Idle(idle) => {
                assert_eq!(idle.state, State::Healthy);
                let key = bench.key().await.expect("a key");
                assert!(bench.headscale.authenticates(key.expose()), "P1");
                return published;
            }
            Turn::Published { .. } => published += 1,
            _ => {}
        }
    }
    panic!("P8: it does not come to rest");
}

#[tokio::test]
async fn clocks_that_are_ten_years_off_cost_one_key_each_at_most() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    let mut manager = manager(&bench);
    let decade = HOUR * 87_660;
    assert_eq!(settle(&bench, &mut manager).await, 1);
    // Ahead: Headscale has the same clock, so the key has expired there.
    bench.clock.advance(decade);
    assert_eq!(settle(&bench, &mut manager).await, 1);
    // Back: the key lives on for ten years.
    bench.clock.advance(-decade);
    assert_eq!(settle(&bench, &mut manager).await, 0);
    // Behind: nothing is due.
    bench.clock.advance(-decade);
    assert_eq!(settle(&bench, &mut manager).await, 0);
    bench.clock.advance(decade);
    assert_eq!(settle(&bench, &mut manager).await, 0);
    let before = bench.secret().await;
    assert_eq!(settle(&bench, &mut manager).await, 0);
    assert_eq!(bench.secret().await, before, "P7: no writes");
}

/// P4, as a pod sees it that reads its Secret again every 90 seconds.
#[tokio::test]
async fn a_consumer_that_reads_again_now_and_then_is_never_refused() {
    let Some(bench) = Bench::new(Way::Http).await else { return };
    let mut manager = manager(&bench);
    settle(&bench, &mut manager).await;
    let mut rotations = 0;
    while rotations < 100 {
        let held = bench.key().await.expect("a key");
        // To within the buffer, so that the key is due.
        bench.clock.advance(HOUR * 1921);
        rotations += settle(&bench, &mut manager).await;
        for _ in 0..3 {
            assert!(bench.headscale.authenticates(held.expose()), "P4: rotation {rotations}");
            bench.clock.advance(SignedDuration::from_secs(30));
            settle(&bench, &mut manager).await;
        }
        bench.clock.advance(HOUR);
        settle(&bench, &mut manager).await;
        assert!(!bench.headscale.authenticates(held.expose()), "its grace is over");
        assert_eq!(bench.ours().len(), 1);
    }
}
