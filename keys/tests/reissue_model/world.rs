//! All that there is, and what the pod, the kubelet and bad luck do to it.

use headscale_keys::AuthKey;
use headscale_keys::reissue::{
    Action, DaemonState, Intent, NodeId, OnNewKey, REISSUE_AUTHKEY, SecretPatch, Signal, Watch,
    clear, publish, request, reset_at_boot,
};

use super::operator::Operator;

/// A key by its number, from 1.
pub(crate) type Key = u8;
/// A node by its number, from 1.
pub(crate) type Node = u8;

/// What Headscale knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum KeyState {
    Usable,
    Spent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// `Some(0)` is the empty marker.
    pub(crate) marker: Option<Key>,
    pub(crate) device: Option<Node>,
    /// What tailscaled logs in with.
    pub(crate) login: Option<Node>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ConfigSecret {
    pub(crate) exists: bool,
    pub(crate) key: Option<Key>,
    pub(crate) intent: Option<Intent>,
    /// How many keys there were when the intent was written: those made since carry its token.
    pub(crate) made_before: u8,
    pub(crate) kept: Option<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pod {
    Down,
    /// tailscaled was started with this key.
    LogsIn {
        tried: Option<Key>,
    },
    /// Headscale let it in, and nobody wrote so.
    Registered {
        node: Node,
    },
    /// Its login is stored.
    In {
        node: Node,
    },
    /// It asked and waits.
    Waits {
        failed: Key,
    },
    /// It saw another key and has not cleared.
    Accepts,
    /// The device is published.
    Authenticated {
        node: Node,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) keys: Vec<KeyState>,
    /// Whether each node is there.
    pub(crate) nodes: Vec<bool>,
    /// Whether a node that was in was in just now.
    pub(crate) recent: bool,
    pub(crate) outage: bool,
    pub(crate) state: State,
    pub(crate) config: ConfigSecret,
    /// The config's key as the pod sees it: the kubelet is late.
    pub(crate) seen: Option<Key>,
    pub(crate) pod: Pod,
    pub(crate) operator: Operator,
    pub(crate) token: bool,
    pub(crate) faults: u8,
}

/// Keys and nodes that a run may need.
pub(crate) const MOST: usize = 9;

pub(crate) fn auth_key(key: Key) -> AuthKey {
    AuthKey::new(&if key == 0 { String::new() } else { format!("k{key}") })
}

fn number(key: &AuthKey) -> Key {
    key.expose().strip_prefix('k').map_or(0, |number| number.parse().expect("a number"))
}

fn marker_after(patch: &SecretPatch, marker: Option<Key>) -> Option<Key> {
    let set = patch.data().find(|(name, _)| *name == REISSUE_AUTHKEY);
    set.map_or(marker, |(_, value)| value.map(|text| number(&AuthKey::new(text))))
}

impl World {
    pub(crate) fn new(faults: u8) -> Self {
        Self {
            keys: Vec::new(),
            nodes: Vec::new(),
            recent: false,
            outage: false,
            state: State::default(),
            config: ConfigSecret::default(),
            seen: None,
            pod: Pod::Down,
            operator: Operator::default(),
            token: true,
            faults,
        }
    }

    pub(crate) fn has(&self, node: Node) -> bool {
        self.nodes[usize::from(node) - 1]
    }

    pub(crate) fn is_usable(&self, key: Key) -> bool {
        key > 0 && self.keys[usize::from(key) - 1] == KeyState::Usable
    }

    pub(crate) fn usable(&self) -> usize {
        self.keys.iter().filter(|key| **key == KeyState::Usable).count()
    }

    /// What the pod does next. `None`: it waits for others.
    pub(crate) fn pod_steps(&self) -> Option<Self> {
        let mut next = self.clone();
        match self.pod {
            Pod::Down => {
                let marker = self.state.marker.map(auth_key);
                let patch = reset_at_boot(marker.as_ref(), self.seen.map(auth_key).as_ref());
                if let Some(patch) = patch {
                    next.state.marker = marker_after(&patch, self.state.marker);
                }
                next.pod = Pod::LogsIn { tried: self.seen };
            }
            Pod::LogsIn { .. } if self.outage => return None,
            Pod::LogsIn { tried } => match self.state.login {
                Some(node) if self.has(node) => next.pod = Pod::In { node },
                _ => match tried.filter(|key| self.is_usable(*key)) {
                    Some(key) if self.nodes.len() < MOST => {
                        next.keys[usize::from(key) - 1] = KeyState::Spent;
                        next.nodes.push(true);
                        next.recent = true;
                        next.pod = Pod::Registered { node: next.nodes.len() as Node };
                    }
                    Some(_) => return None,
                    None if tried.is_some() => next.asks(tried, Signal::Refused("authkey expired")),
                    None => next.asks(tried, Signal::State(DaemonState::NeedsLogin)),
                },
            },
            Pod::Registered { node } => {
                next.state.login = Some(node);
                next.pod = Pod::In { node };
            }
            Pod::In { node } => {
                let patch = publish(&node.to_string(), "", &[]);
                next.state.marker = marker_after(&patch, self.state.marker);
                next.state.device = Some(node);
                next.pod = Pod::Authenticated { node };
            }
            Pod::Waits { failed } => {
                let mut watch = waiting(failed);
                match watch.looked(self.seen.map(auth_key).as_ref()) {
                    Action::Accept { .. } => next.pod = Pod::Accepts,
                    _ => return None,
                }
            }
            Pod::Accepts => {
                let mut watch = waiting(0);
                let Action::Accept { clearing, .. } = watch.looked(Some(&auth_key(1))) else {
                    panic!("another key is accepted")
                };
                let patch = clear(clearing, None);
                next.state.marker = marker_after(&patch, self.state.marker);
                assert_eq!(patch.data().filter(|(_, value)| value.is_none()).count(), 7);
                next.state.device = None;
                next.state.login = None;
                next.pod = Pod::Down;
            }
            Pod::Authenticated { node } if self.has(node) => return None,
            Pod::Authenticated { .. } => {
                let tried = self.seen;
                next.asks(tried, Signal::State(DaemonState::NeedsLogin));
            }
        }
        Some(next)
    }

    fn asks(&mut self, tried: Option<Key>, signal: Signal<'_>) {
        let tried = tried.map(auth_key);
        let mut watch = Watch::new(OnNewKey::Exit, tried.as_ref());
        if let Pod::Authenticated { .. } = self.pod {
            let running = watch.heard(Signal::State(DaemonState::Running), tried.as_ref());
            assert!(matches!(running, Action::Publish));
        }
        let Action::Ask { failed, .. } = watch.heard(signal, tried.as_ref()) else {
            panic!("{signal:?} asks for another key")
        };
        self.state.marker = marker_after(&request(&failed), self.state.marker);
        self.pod = Pod::Waits { failed: number(&failed) };
    }

    /// The kubelet hands the config on.
    pub(crate) fn kubelet_syncs(&self) -> Option<Self> {
        (self.seen != self.config.key).then(|| Self { seen: self.config.key, ..self.clone() })
    }

    /// What passes by itself.
    pub(crate) fn time_passes(&self) -> Vec<(&'static str, Self)> {
        let mut next = Vec::new();
        if self.outage {
            next.push(("outage ends", Self { outage: false, ..self.clone() }));
        }
        if self.recent && !matches!(self.pod, Pod::Authenticated { .. }) {
            next.push(("the node was last seen long ago", Self { recent: false, ..self.clone() }));
        }
        if !self.token {
            next.push(("the bucket fills", Self { token: true, ..self.clone() }));
        }
        next
    }

    /// Bad luck that is not the operator's.
    pub(crate) fn faults(&self) -> Vec<(&'static str, Self)> {
        let mut next = Vec::new();
        if self.faults == 0 {
            return next;
        }
        let with = |change: fn(&mut Self)| {
            let mut next = Self { faults: self.faults - 1, ..self.clone() };
            change(&mut next);
            next
        };
        if self.pod != Pod::Down {
            next.push(("pod crashes", with(|world| world.pod = Pod::Down)));
        }
        if !self.outage {
            next.push(("outage begins", with(|world| world.outage = true)));
        }
        if self.state.login.is_some() {
            let lost = with(|world| {
                world.state = State::default();
                world.pod = Pod::Down;
            });
            next.push(("the state Secret is lost", lost));
        }
        if let Pod::Authenticated { node } = self.pod
            && self.has(node)
        {
            let deleted = with(|world| {
                if let Pod::Authenticated { node } = world.pod {
                    world.nodes[usize::from(node) - 1] = false;
                }
            });
            next.push(("somebody deletes the node", deleted));
        }
        // A stock pod takes an outage for a refusal.
        if let Pod::LogsIn { tried: Some(_) } = self.pod {
            let alarmed = with(|world| {
                if let Pod::LogsIn { tried } = world.pod {
                    world.asks(tried, Signal::Refused("authkey expired"));
                }
            });
            next.push(("a stock pod asks without need", alarmed));
        }
        next
    }

    /// Whether all is done: the pod is in for good.
    pub(crate) fn is_done(&self) -> bool {
        let in_for_good = match self.pod {
            Pod::Authenticated { node } => self.has(node) && self.state.device == Some(node),
            _ => false,
        };
        in_for_good && self.state.marker.is_none() && self.config.intent.is_none()
    }
}

fn waiting(failed: Key) -> Watch {
    let failed = auth_key(failed);
    let mut watch = Watch::new(OnNewKey::Exit, Some(&failed));
    let asked = watch.heard(Signal::Refused("authkey already used"), Some(&failed));
    assert!(matches!(asked, Action::Ask { .. }));
    watch
}

pub(crate) fn node_id(node: Node) -> NodeId {
    NodeId(u64::from(node))
}
