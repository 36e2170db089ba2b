//! The operator: it reads, then carries out one step. The broken ones are here too.

use headscale_keys::reissue::{
    Answer, Config, Control, Intent, KeyId, KeyView, NodeView, Policy, Replica, decide,
};

use super::world::{ConfigSecret, Key, KeyState, MOST, Node, World, auth_key, node_id};

/// Which operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// Upstream's: a flag in memory says that a request is being answered, from before it is.
    InFlightInMemory,
    /// The same flag, stored: what was begun is taken for done by the next process.
    InFlightStored,
    /// Makes a key first and writes it then, with nothing in between.
    NoIntent,
    /// Upstream's for API server proxies: never sees that the config has a key.
    ForgetsAnswered,
}

/// What it has in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Operator {
    /// What it is about to do.
    pub(crate) next: Option<Step>,
    /// The broken ones' flag.
    in_flight: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Do(Answer),
    /// A key that was made and is not written.
    Write(Key),
}

impl World {
    /// What the operator does next: it reads, or carries out what it read.
    pub(crate) fn operator_steps(&self, kind: Kind) -> Option<Self> {
        match self.operator.next {
            None => self.reads(kind),
            Some(step) => Some(self.carries_out(kind, step)),
        }
    }

    /// What can go wrong with it.
    pub(crate) fn operator_faults(&self) -> Vec<(&'static str, Self)> {
        let mut next = Vec::new();
        let Some(step) = self.operator.next.filter(|_| self.faults > 0) else {
            return next;
        };
        let with = |operator| Self { operator, faults: self.faults - 1, ..self.clone() };
        next.push(("operator crashes", with(Operator::default())));
        let failed = with(Operator { next: None, ..self.operator });
        next.push(("its request fails", failed.clone()));
        if step == Step::Do(Answer::Mint) && self.keys.len() < MOST {
            let mut lost = failed;
            lost.keys.push(KeyState::Usable);
            next.push(("a key is made and its answer lost", lost));
        }
        next
    }

    fn reads(&self, kind: Kind) -> Option<Self> {
        let mut next = self.clone();
        let marker = self.state.marker.map(auth_key);
        let mut key = self.config.key.map(auth_key);
        if kind == Kind::ForgetsAnswered && marker.is_some() {
            key = None;
        }
        let device = match self.state.device {
            Some(node) if self.has(node) => NodeView::Known { alive: self.recent },
            _ => NodeView::Missing,
        };
        let view = match self.config.key {
            Some(key) if self.is_usable(key) => KeyView::Usable(key_id(key)),
            Some(_) => KeyView::Spent,
            None => KeyView::Missing,
        };
        // Those that were made since the intent was written and are in nobody's hands.
        let orphans: Vec<KeyId> = (self.config.made_before + 1..=self.keys.len() as Key)
            .filter(|key| self.config.intent.is_some() && self.is_usable(*key))
            .map(key_id)
            .collect();
        let answer = decide(&Replica {
            marker: marker.as_ref(),
            config: match (&key, self.config.exists) {
                (Some(key), _) => Config::Key(key),
                (None, true) => Config::NoKey,
                (None, false) => Config::Missing,
            },
            intent: self.config.intent,
            kept: self.config.kept.map(node_id),
            device_id: self.state.device.map(node_id),
            control: if self.outage {
                Control::Unavailable
            } else {
                Control::Available { device, key: view, orphans: &orphans }
            },
            token: self.token,
            policy: Policy::Recreate,
        });
        if matches!(answer, Answer::Mint) && self.keys.len() >= MOST {
            return None;
        }
        let answer = match kind {
            Kind::InFlightInMemory if self.operator.in_flight => {
                next.operator.in_flight = self.state.marker.is_some();
                return (next != *self).then_some(next);
            }
            Kind::InFlightStored if self.config.intent.is_some() && !self.operator.in_flight => {
                return None;
            }
            Kind::InFlightInMemory => {
                next.operator.in_flight = answer == Answer::Mint && self.state.marker.is_some();
                answer
            }
            Kind::NoIntent => match answer {
                Answer::Begin(_) if self.keys.len() >= MOST => return None,
                Answer::Begin(Intent { delete: Some(node), .. }) => Answer::DeleteNode(node),
                Answer::Begin(Intent { expire: Some(key), .. }) => Answer::Expire(key),
                Answer::Begin(_) => Answer::Mint,
                other => other,
            },
            _ => answer,
        };
        match answer {
            Answer::Idle | Answer::Answered | Answer::ControlUnavailable | Answer::RateLimited => {
                None
            }
            answer => {
                next.operator.next = Some(Step::Do(answer));
                Some(next)
            }
        }
    }

    fn carries_out(&self, kind: Kind, step: Step) -> Self {
        let mut next = self.clone();
        next.operator.next = None;
        let answer = match step {
            Step::Do(answer) => answer,
            Step::Write(key) => {
                let kept = self.config.intent.and_then(|intent| intent.keep);
                next.config = ConfigSecret {
                    exists: true,
                    key: Some(key),
                    intent: None,
                    made_before: 0,
                    kept: kept.map_or(self.config.kept, |node| Some(node.0 as Node)),
                };
                next.operator.in_flight &= kind != Kind::InFlightStored;
                return next;
            }
        };
        // Nothing but writes of Secrets gets through an outage.
        let to_headscale =
            matches!(answer, Answer::DeleteNode(_) | Answer::Expire(_) | Answer::Mint)
                || matches!(answer, Answer::Retire { delete: Some(_) });
        if to_headscale && self.outage {
            return next;
        }
        match answer {
            Answer::Begin(intent) => {
                next.token = false;
                next.config.exists = true;
                next.config.intent = Some(intent);
                next.config.made_before = self.keys.len() as u8;
                next.operator.in_flight |= kind == Kind::InFlightStored;
            }
            Answer::Abandon => {
                next.config.intent = None;
                next.config.made_before = 0;
            }
            Answer::DeleteNode(node) => next.nodes[node.0 as usize - 1] = false,
            Answer::Expire(key) => next.keys[key.0 as usize - 1] = KeyState::Spent,
            Answer::Mint => {
                next.keys.push(KeyState::Usable);
                next.operator.next = Some(Step::Write(next.keys.len() as Key));
            }
            Answer::DropKey => next.config.key = None,
            Answer::Retire { delete } => {
                if let Some(node) = delete {
                    next.nodes[node.0 as usize - 1] = false;
                }
                next.config.kept = None;
            }
            Answer::Idle | Answer::Answered | Answer::ControlUnavailable | Answer::RateLimited => {}
        }
        next
    }
}

fn key_id(key: Key) -> KeyId {
    KeyId(u64::from(key))
}
