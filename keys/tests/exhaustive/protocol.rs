//! How a sidecar goes about it: as ours does, and as simpler ones do, which must be found out.

use crate::model::key_set::Keys;
use crate::model::processes::Step;
use crate::world::{CREATES, Decision, Process, Request, Secret, World, decide, published};

/// Ours, and those that leave one thing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Drives the real `plan`.
    Ours,
    /// As the Go sidecar: create, write, expire the old key.
    Naive,
    /// Deletes a pending key that it finds, without a commit before that names it.
    WithoutFence,
    /// Asks after the list, not before it, whether a request may still arrive.
    AsksAfterTheList,
    /// Starts on a new key while one that was given up may still come.
    WithoutGate,
    /// Forgets a key that was given up when one list does not show it.
    ForgetsAtOnce,
    /// Publishes whatever was written meanwhile.
    PublishesBlindly,
}

impl Protocol {
    pub(crate) fn steps(self, world: &World, index: usize) -> Vec<Step<World>> {
        let step =
            |request, then| Step { world: world.clone(), request, then, refused: Process::START };
        match world.actors.processes[index] {
            Process::Read { unpublished } if self == Self::Naive => {
                let _ = unpublished;
                vec![step(
                    None,
                    Process::Decide {
                        secret: world.secret,
                        keys: Keys::default(),
                        settled: Keys::default(),
                        unpublished: None,
                    },
                )]
            }
            Process::Read { unpublished } => {
                vec![step(None, Process::List { secret: world.secret, unpublished })]
            }
            Process::List { secret, unpublished } => {
                let unresolved = unresolved(&secret);
                let settled = unresolved.iter().filter(|key| !world.may_be_made(*key));
                let settled = settled.fold(Keys::default(), Keys::with);
                let keys = world.keys;
                vec![step(None, Process::Decide { secret, keys, settled, unpublished })]
            }
            Process::Decide { secret, .. } if self == Self::Naive => naive(world, secret),
            Process::Decide { secret, keys, settled, unpublished } => {
                self.decided(world, index, secret, keys, settled, unpublished)
            }
            Process::Create { key, secret } if self == Self::Naive => {
                let _ = secret;
                vec![step(None, Process::Overwrite { key, secret: world.secret })]
            }
            Process::Create { key, secret } => {
                vec![step(Some(Request::Create(key)), Process::Publish { key, secret })]
            }
            Process::Publish { key, .. } if !world.keys.has(key) => {
                vec![step(None, Process::START)]
            }
            Process::Publish { key, secret } => {
                let expected = (self != Self::PublishesBlindly).then_some(secret.version);
                let log = published(&secret.log, key);
                let request = Request::Commit { expected, log };
                let refused = Process::Read { unpublished: Some(key) };
                vec![Step { refused, ..step(Some(request), Process::START) }]
            }
            Process::Overwrite { key, secret } => {
                let mut log = secret.log;
                let old = log.current.replace(key);
                let request = Request::Commit { expected: Some(secret.version), log };
                vec![step(Some(request), Process::Expire { key: old })]
            }
            Process::Expire { key: Some(key) } => {
                vec![step(Some(Request::Delete(key)), Process::START)]
            }
            Process::Expire { key: None } => vec![step(None, Process::START)],
        }
    }

    fn decided(
        self,
        world: &World,
        index: usize,
        secret: Secret,
        keys: Keys,
        mut settled: Keys,
        unpublished: Option<u8>,
    ) -> Vec<Step<World>> {
        let me = u8::try_from(index).expect("a process or two");
        let commit = |log| Request::Commit { expected: Some(secret.version), log };
        // Once the record names it, it needs no remembering.
        let log = secret.log;
        let named = |key: &u8| {
            log.current == Some(*key) || log.pending == Some(*key) || log.aborted.has(*key)
        };
        let unpublished = unpublished.filter(|key| !named(key));
        let refused = Process::Read { unpublished };
        let step = |request, then| Step { world: world.clone(), request, then, refused };
        match self {
            Self::WithoutFence => {
                if let Some(pending) = secret.log.pending {
                    let mut log = secret.log;
                    log.pending = None;
                    log.by = None;
                    let found = keys.has(pending);
                    let request = if found { Request::Delete(pending) } else { commit(log) };
                    return vec![step(Some(request), Process::START)];
                }
            }
            Self::AsksAfterTheList => {
                let unresolved = unresolved(&secret);
                let over = unresolved.iter().filter(|key| !world.may_be_made(*key));
                settled = over.fold(Keys::default(), Keys::with);
            }
            Self::ForgetsAtOnce => settled = unresolved(&secret),
            _ => {}
        }
        let mut steps = Vec::new();
        let dues: &[bool] = if world.rotations > 0 { &[false, true] } else { &[false] };
        for &due in dues {
            match decide(&secret, keys, settled, unpublished, due, me) {
                Decision::Commit(log) => {
                    let unpublished = unpublished.filter(|key| !log.aborted.has(*key));
                    steps.push(step(Some(commit(log)), Process::Read { unpublished }));
                }
                Decision::Delete(key) => {
                    steps.push(step(Some(Request::Delete(key)), refused));
                }
                Decision::Begin => steps.extend(begin(world, me, secret, due)),
                Decision::Wait { gated: true } if self == Self::WithoutGate => {
                    steps.extend(begin(world, me, secret, due));
                }
                Decision::Wait { .. } => {
                    // Looks again when something has changed, or may yet.
                    let changed = secret != world.secret || keys != world.keys;
                    if changed || unresolved(&secret).len() > 0 {
                        steps.push(step(None, Process::START));
                    }
                }
            }
        }
        steps
    }
}

fn unresolved(secret: &Secret) -> Keys {
    secret.log.pending.map_or(secret.log.aborted, |pending| secret.log.aborted.with(pending))
}

/// Writes the intent down; the request for the key comes next.
fn begin(world: &World, me: u8, secret: Secret, due: bool) -> Option<Step<World>> {
    let mut world = world.clone();
    let key = world.next;
    if key > CREATES {
        return None;
    }
    world.next += 1;
    if due && secret.log.current.is_some_and(|current| world.keys.has(current)) {
        world.rotations = world.rotations.checked_sub(1)?;
    }
    let mut log = secret.log;
    log.pending = Some(key);
    log.by = Some(me);
    let request = Request::Commit { expected: Some(secret.version), log };
    let secret = Secret { version: secret.version + 1, log };
    let then = Process::Create { key, secret };
    Some(Step { world, request: Some(request), then, refused: Process::START })
}

fn naive(world: &World, secret: Secret) -> Vec<Step<World>> {
    let mut world = world.clone();
    let first = secret.log.current.is_none();
    if (first || world.rotations > 0) && world.next <= CREATES {
        let key = world.next;
        world.next += 1;
        if !first {
            world.rotations -= 1;
        }
        let request = Some(Request::Create(key));
        let then = Process::Create { key, secret };
        return vec![Step { world, request, then, refused: Process::START }];
    }
    if secret == world.secret {
        return Vec::new();
    }
    vec![Step { world, request: None, then: Process::START, refused: Process::START }]
}
