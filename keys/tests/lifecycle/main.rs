//! Long random lives of a key: faults, kills, clocks that are set, hands in the Secret.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper of a test fails by a panic, as the test does"
)]

mod world;

use std::time::Duration;

use headscale_keys::secret::{EXPIRATION_ANNOTATION, KEY, RECORD_ANNOTATION};
use jiff::SignedDuration;
use proptest::prelude::*;

use world::{Fate, MISTYPED, Sidecar, Stage, World, foreign};

#[derive(Clone, Debug)]
enum Happening {
    Step {
        sidecar: usize,
        fate: Fate,
    },
    Kill(usize),
    Land(usize),
    Pass(Duration),
    /// The wall clock is set, forward or back.
    Set(SignedDuration),
    /// Somebody writes to the Secret.
    Edit(Edit),
    /// Headscale loses its database.
    Wipe,
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Delete,
    TruncateKey,
    SpoilRecord,
    SpoilExpiration,
    AddForeign,
    /// Somebody else's key, mistyped.
    Mistype,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Answered),
        1 => Just(Fate::Dropped),
        1 => Just(Fate::Unanswered),
        1 => Just(Fate::Late),
        1 => Just(Fate::Failed),
    ]
}

fn step() -> impl Strategy<Value = Happening> {
    (0..2_usize, fate()).prop_map(|(sidecar, fate)| Happening::Step { sidecar, fate })
}

fn pass() -> impl Strategy<Value = Happening> {
    prop_oneof![0..5_u64, 20..50_u64, 3_000..5_000_u64, 0..9_000_000_u64]
        .prop_map(|seconds| Happening::Pass(Duration::from_secs(seconds)))
}

fn set() -> impl Strategy<Value = Happening> {
    const TEN_YEARS: i64 = 87_660;
    prop_oneof![Just(-TEN_YEARS), Just(TEN_YEARS), -TEN_YEARS..TEN_YEARS]
        .prop_map(|hours| Happening::Set(SignedDuration::from_hours(hours)))
}

fn edit() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Edit::Delete),
        Just(Edit::TruncateKey),
        Just(Edit::SpoilRecord),
        Just(Edit::SpoilExpiration),
        Just(Edit::AddForeign),
        Just(Edit::Mistype),
    ]
    .prop_map(Happening::Edit)
}

/// Only what sidecars and networks do: then everything is promised.
fn faults() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        20 => step(),
        2 => (0..2_usize).prop_map(Happening::Kill),
        2 => (0..8_usize).prop_map(Happening::Land),
        3 => pass(),
    ];
    prop::collection::vec(happening, 1..150)
}

/// And what people do: then it heals.
fn everything() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        20 => step(),
        2 => (0..2_usize).prop_map(Happening::Kill),
        2 => (0..8_usize).prop_map(Happening::Land),
        3 => pass(),
        1 => set(),
        1 => edit(),
        1 => Just(Happening::Wipe),
    ];
    prop::collection::vec(happening, 1..150)
}

impl World {
    fn happen(&mut self, happening: &Happening, nonce: u32) {
        match happening {
            Happening::Step { sidecar, fate } => {
                self.step(*sidecar, *fate, nonce);
            }
            Happening::Kill(sidecar) => self.sidecars[*sidecar] = Sidecar::new(),
            Happening::Land(index) => self.land(*index),
            Happening::Pass(time) => self.advance(*time),
            Happening::Set(by) => {
                self.clock_was_set = true;
                self.wall = self.wall.checked_add(*by).unwrap_or(self.wall);
            }
            Happening::Edit(edit) => self.edit(*edit),
            Happening::Wipe => self.keys.retain(|prefix, _| *prefix == foreign()),
        }
    }

    fn edit(&mut self, edit: Edit) {
        let Some((contents, version)) = &mut self.secret else {
            return;
        };
        *version += 1_000_000;
        match edit {
            Edit::TruncateKey => {
                contents.data.entry(KEY.to_owned()).and_modify(|key| key.truncate(40));
            }
            Edit::SpoilRecord => {
                contents.annotations.insert(RECORD_ANNOTATION.to_owned(), "{nonsense".to_owned());
            }
            Edit::SpoilExpiration => {
                contents.annotations.insert(EXPIRATION_ANNOTATION.to_owned(), "soon".to_owned());
            }
            Edit::AddForeign => {
                contents.data.insert("theirs".to_owned(), b"1".to_vec());
                contents.labels.insert("theirs".to_owned(), "1".to_owned());
                contents.annotations.insert("theirs".to_owned(), "1".to_owned());
            }
            Edit::Mistype => {
                let text = format!("hskey-api-{}-{:s>60}{MISTYPED}", foreign(), "");
                contents.data.insert(KEY.to_owned(), text.into_bytes());
            }
            Edit::Delete => self.secret = None,
        }
    }

    /// Without faults from now on; gives whether it comes to rest.
    fn settles(&mut self) -> bool {
        self.lose_late_requests();
        for sidecar in &mut self.sidecars {
            *sidecar = Sidecar::new();
        }
        for turn in 0..1000 {
            // Without faults a key is made at once.
            let busy = self.sidecars.iter().any(|it| !matches!(it.stage, Stage::Look));
            self.advance(Duration::from_secs(if busy { 1 } else { 15 }));
            self.writes = 0;
            let idle: Vec<bool> = (0..self.sidecars.len())
                .map(|index| self.step(index, Fate::Answered, turn))
                .collect();
            let at_rest = self.writes == 0 && self.record().retiring.is_empty();
            if at_rest && idle.iter().all(|idle| *idle) {
                return true;
            }
        }
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// P1, P3, P4, P5, P6 and P7 with two sidecars, whatever is lost, late or killed.
    #[test]
    fn a_key_survives_faults(happenings in faults()) {
        let mut world = World::new(2);
        let mut had_a_key = false;
        for (nonce, happening) in (0..).zip(&happenings) {
            let worked = world.works();
            world.happen(happening, nonce);
            had_a_key |= world.current_prefix().is_some();
            // Time may pass its expiration here, which no sidecar can help.
            if worked && !matches!(happening, Happening::Pass(_)) {
                prop_assert!(world.works(), "P1: the key that worked is lost by {happening:?}");
            }
            prop_assert!(!had_a_key || world.current_prefix().is_some(), "P1: no key at all");
            let (orphans, unnamed) = world.orphans();
            prop_assert!(orphans <= 1 && unnamed == 0, "P3: {orphans} orphans, {unnamed} unnamed");
            prop_assert!(world.keys.contains_key(&foreign()), "P5: somebody else's key is gone");
            prop_assert_eq!(&world.wrong, &Vec::<String>::new());
        }
        prop_assert!(world.settles(), "P7: it does not come to rest");
        prop_assert!(world.works(), "P7: it comes to rest without a key that works");
        prop_assert_eq!(world.keys.len(), 2, "P7: one key of ours, one of somebody else");
    }

    /// P5, P8 and P9 with clocks that are set by up to ten years, hands in the Secret and lost
    /// databases: it comes back to one key that works, and touches nothing of others.
    #[test]
    fn a_key_comes_back_from_everything(happenings in everything()) {
        let mut world = World::new(2);
        let mut theirs = false;
        for (nonce, happening) in (0..).zip(&happenings) {
            world.happen(happening, nonce);
            theirs |= matches!(happening, Happening::Edit(Edit::AddForeign)) && world.secret.is_some();
            theirs &= !matches!(happening, Happening::Edit(Edit::Delete));
            prop_assert!(world.keys.contains_key(&foreign()), "P5: somebody else's key is gone");
        }
        prop_assert!(world.settles(), "P9: it does not come to rest: {:?}", world.record());
        prop_assert!(world.works(), "P9: it comes to rest without a key that works");
        let (contents, _) = world.secret.as_ref().expect("settled");
        if theirs {
            prop_assert!(contents.data.contains_key("theirs"), "P5: foreign data is gone");
            prop_assert!(contents.labels.contains_key("theirs"), "P5: a foreign label is gone");
            prop_assert!(contents.annotations.contains_key("theirs"), "P5");
        }
    }

    /// Nothing that a Secret may hold makes reading it panic, and a second reading after it was
    /// written anew finds nothing wrong.
    #[test]
    fn contents_are_read_whatever_they_are(
        record in any::<String>(),
        expiration in any::<String>(),
        key in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut contents = headscale_keys::Contents::ours();
        contents.annotations.insert(RECORD_ANNOTATION.to_owned(), record);
        contents.annotations.insert(EXPIRATION_ANNOTATION.to_owned(), expiration);
        contents.data.insert(KEY.to_owned(), key);
        let loaded = contents.load().expect("ours");
        contents.write(&loaded.stored.record.unwrap_or_default(), None);
        prop_assert!(contents.load().is_ok());
    }
}
