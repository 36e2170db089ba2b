//! How an operator goes about it: as ours does, and as simpler ones do, which must be found out.

use crate::model::key_set::Keys;
use crate::model::processes::Step;
use crate::world::{Decision, Log, Process, Request, Secret, Seen, World, decide, published};

/// Ours, and those that leave one thing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Drives the real `plan`.
    Ours,
    /// As the Go operator: makes a key, writes it, and expires the one of the Secret at the end.
    Naive,
    /// Deletes a pending key that it finds, without a commit before that names it.
    WithoutFence,
    /// Starts on a new key while one that was given up may still come.
    WithoutGate,
    /// Forgets a key that was given up when one list does not show it.
    ForgetsAtOnce,
    /// Publishes whatever was written meanwhile.
    PublishesBlindly,
    /// Lets the object go when no key is listed, whatever may still come.
    EndsAtOnce,
}

impl Protocol {
    pub(crate) fn steps(self, world: &World, index: usize) -> Vec<Step<World>> {
        let step =
            |request, then| Step { world: world.clone(), request, then, refused: Process::START };
        match world.actors.processes[index] {
            Process::Gone => Vec::new(),
            Process::Read { .. } if world.gone => vec![step(None, Process::Gone)],
            Process::Read { unpublished } => {
                let (wish, secret) = (world.wish, world.secret);
                vec![step(None, Process::List { wish, secret, unpublished })]
            }
            Process::List { wish, secret, unpublished } => {
                let unresolved = secret.log.unwrap_or_default().unresolved();
                let settled = unresolved.iter().filter(|key| !world.may_be_made(*key));
                let mut settled = settled.fold(Keys::default(), Keys::with);
                if self == Self::ForgetsAtOnce {
                    settled = unresolved;
                }
                let (keys, valid) = (world.keys, world.valid);
                let seen = Seen { wish, secret, keys, valid, settled, unpublished };
                vec![step(None, Process::Decide { seen })]
            }
            Process::Decide { seen } if self == Self::Naive => naive(world, &seen),
            Process::Decide { seen } => self.decided(world, index, &seen),
            Process::Create { key, wish, secret } => {
                let then = Process::Publish { key, wish, secret };
                vec![step(Some(Request::Create(key)), then)]
            }
            Process::Publish { key, .. } if !world.keys.has(key) => {
                vec![step(None, Process::START)]
            }
            Process::Publish { key, wish, secret } => {
                let blind = matches!(self, Self::PublishesBlindly | Self::Naive);
                let expected = (!blind).then_some(secret.version);
                let before = secret.log.unwrap_or_default();
                let old = before.current.map(|(old, _)| old);
                let (log, then) = if self == Self::Naive {
                    (Log { current: Some((key, wish)), ..Log::default() }, Process::Tidy { old })
                } else {
                    (published(&before, key, wish), Process::START)
                };
                let request = Request::Write { expected, log: Some(log) };
                let refused = Process::Read { unpublished: Some(key) };
                vec![Step { refused, ..step(Some(request), then) }]
            }
            Process::Tidy { old: Some(old) } => {
                vec![step(Some(Request::Delete(old)), Process::START)]
            }
            Process::Tidy { old: None } => vec![step(None, Process::START)],
        }
    }

    fn decided(self, world: &World, index: usize, seen: &Seen) -> Vec<Step<World>> {
        let me = u8::try_from(index).expect("a process or two");
        let alone = world.actors.processes.len() == 1;
        let log = seen.secret.log.unwrap_or_default();
        // Once the record names it, it needs no remembering.
        let current = log.current.map(|(key, _)| key);
        let named = |key: &u8| current == Some(*key) || log.unresolved().has(*key);
        let unpublished = seen.unpublished.filter(|key| !named(key));
        let seen = &Seen { unpublished, ..*seen };
        let refused = Process::Read { unpublished };
        let write = |log| Request::Write { expected: Some(seen.secret.version), log };
        let step = |request, then| Step { world: world.clone(), request, then, refused };
        if let (Self::WithoutFence, Some(pending)) = (self, log.pending) {
            let found = seen.keys.has(pending);
            let forgotten = Log { pending: None, by: None, ..log };
            let request = if found { Request::Delete(pending) } else { write(Some(forgotten)) };
            return vec![step(Some(request), Process::START)];
        }
        match decide(seen, me, alone) {
            Decision::Commit(log) => {
                let unpublished = unpublished.filter(|key| !log.aborted.has(*key));
                vec![step(Some(write(Some(log))), Process::Read { unpublished })]
            }
            Decision::Expire(key) => vec![step(Some(Request::Expire(key)), refused)],
            Decision::Delete(key) => vec![step(Some(Request::Delete(key)), refused)],
            Decision::Begin => begin(world, me, seen).into_iter().collect(),
            Decision::Wait { gated: true } if self == Self::WithoutGate && seen.wish.is_some() => {
                begin(world, me, seen).into_iter().collect()
            }
            Decision::Wait { gated: true } if self == Self::EndsAtOnce && seen.wish.is_none() => {
                vec![step(Some(write(None)), refused)]
            }
            Decision::Released if seen.secret.log.is_some() => {
                vec![step(Some(write(None)), refused)]
            }
            Decision::Released => vec![step(Some(Request::LetGo), refused)],
            Decision::Wait { .. } => {
                // Looks again when something has changed, or may yet.
                let changed = seen.secret != world.secret
                    || (seen.keys, seen.valid) != (world.keys, world.valid)
                    || seen.wish != world.wish;
                let waits = log.unresolved().len() > 0;
                if changed || waits { vec![step(None, Process::START)] } else { Vec::new() }
            }
        }
    }
}

/// Writes the intent down; the request for the key comes next.
fn begin(world: &World, me: u8, seen: &Seen) -> Option<Step<World>> {
    let mut world = world.clone();
    let (key, wish) = (world.next, seen.wish?);
    if key > world.creates {
        return None;
    }
    world.next += 1;
    let mut log = seen.secret.log.unwrap_or_default();
    log.pending = Some(key);
    log.by = Some(me);
    let request = Request::Write { expected: Some(seen.secret.version), log: Some(log) };
    let secret = Secret { version: seen.secret.version + 1, log: Some(log) };
    let then = Process::Create { key, wish, secret };
    Some(Step { world, request: Some(request), then, refused: Process::START })
}

/// Makes a key and then writes it down; ends the one that is written down.
fn naive(world: &World, seen: &Seen) -> Vec<Step<World>> {
    let step = |world, request, then| Step { world, request, then, refused: Process::START };
    let current = seen.secret.log.unwrap_or_default().current;
    match (seen.wish, current) {
        (None, Some((key, _))) if seen.keys.has(key) => {
            vec![step(world.clone(), Some(Request::Delete(key)), Process::START)]
        }
        (None, _) if seen.secret.log.is_some() => {
            let request = Request::Write { expected: None, log: None };
            vec![step(world.clone(), Some(request), Process::START)]
        }
        (None, _) => vec![step(world.clone(), Some(Request::LetGo), Process::START)],
        (Some(wish), Some((_, made_for))) if made_for == wish => {
            let changed = seen.secret != world.secret || seen.wish != world.wish;
            if changed { vec![step(world.clone(), None, Process::START)] } else { Vec::new() }
        }
        (Some(wish), _) if world.next <= world.creates => {
            let mut world = world.clone();
            let key = world.next;
            world.next += 1;
            let then = Process::Create { key, wish, secret: seen.secret };
            vec![step(world, None, then)]
        }
        (Some(_), _) => Vec::new(),
    }
}
