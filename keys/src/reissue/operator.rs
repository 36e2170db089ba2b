//! The operator's side: from what is stored to the one step that comes next.

use super::node::is_answer;
use crate::AuthKey;

/// Headscale's number of an auth key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

/// Headscale's number of a node: what the field `device_id` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// The config Secret of a replica.
#[derive(Clone, Copy, Debug)]
pub enum Config<'a> {
    /// There is no such Secret.
    Missing,
    /// It has no key, or an empty one.
    NoKey,
    /// It has this key.
    Key(&'a AuthKey),
}

/// A node, as Headscale has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeView {
    /// Not, or not any more.
    Missing,
    /// It does.
    Known {
        /// Whether it is not expired and was online within the time that an outage may take.
        alive: bool,
    },
}

/// An auth key, as Headscale has it, looked up by the number that the config Secret notes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyView {
    /// Not, or not any more; or its number is not known.
    Missing,
    /// Used, expired or revoked.
    Spent,
    /// A node could log in with it.
    Usable(KeyId),
}

/// What Headscale says.
#[derive(Clone, Copy, Debug)]
pub enum Control<'a> {
    /// Nothing: it cannot be reached, or is not healthy.
    Unavailable,
    /// What it has.
    Available {
        /// The node of the state Secret's `device_id`.
        device: NodeView,
        /// The key of the config.
        key: KeyView,
        /// Usable keys with the expiration that the intent names. Each is of an attempt whose key
        /// was lost, for the write of the key removes the intent.
        orphans: &'a [KeyId],
    },
}

/// Whether the old node is deleted before another key is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It is, so that the new node gets its name.
    #[default]
    Recreate,
    /// It is kept: for nodes that keep their machine key.
    KeepOld,
}

/// Why a key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// The replica is new.
    First,
    /// It asked for it.
    Reissue,
}

/// What was decided, written down before it is carried out, in the config Secret beside a unique
/// expiration for the key to come, by which a key is found that was made and then lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// Why.
    pub occasion: Occasion,
    /// The old node, where it is to be deleted first.
    pub delete: Option<NodeId>,
    /// The old key, where it could be used still and is to be expired first.
    pub expire: Option<KeyId>,
    /// The old node, where nothing was wrong with it: it is kept until its replica is in as
    /// another one.
    pub keep: Option<NodeId>,
}

/// All that is known of a replica.
#[derive(Clone, Copy, Debug)]
pub struct Replica<'a> {
    /// The marker in the state Secret (see [`marker`](super::marker)).
    pub marker: Option<&'a AuthKey>,
    /// The config Secret.
    pub config: Config<'a>,
    /// What was written down and is not carried out.
    pub intent: Option<Intent>,
    /// The node that the last intent kept, as [`Answer::Mint`] noted it.
    pub kept: Option<NodeId>,
    /// The field `device_id` of the state Secret.
    pub device_id: Option<NodeId>,
    /// What Headscale says.
    pub control: Control<'a>,
    /// Whether the rate limit lets another key be made.
    pub token: bool,
    /// What becomes of old nodes.
    pub policy: Policy,
}

/// The next step. Each is one request, but [`Mint`](Self::Mint); after it everything is read again.
/// Writes are of the config Secret alone, by compare-and-set: the marker is the node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// None.
    Idle,
    /// None: the answer stands in the config, and the node has not taken it.
    Answered,
    /// None until Headscale answers again.
    ControlUnavailable,
    /// None until the rate limit lets another key be made.
    RateLimited,
    /// Take a token and write this intent, with a fresh expiration. Creates a Secret that is
    /// missing, without a key.
    Begin(Intent),
    /// Remove the intent: it is not needed any more.
    Abandon,
    /// Delete this node. That it is not there is success.
    DeleteNode(NodeId),
    /// Expire this key. That it is not there is success.
    Expire(KeyId),
    /// Make a key with the intent's expiration, then write it and its number, note the node that
    /// the intent kept, and remove the intent, in one write. When that fails the key is lost.
    Mint,
    /// Remove the key from the config: it is used up, and the node is in.
    DropKey,
    /// Delete the node that was kept, unless it is the replica's own still or is not there, and
    /// then remove its note.
    Retire {
        /// The node to delete. `None`: only the note goes.
        delete: Option<NodeId>,
    },
}

/// What is to be done for `replica` next.
///
/// It needs no memory: what is pending follows from the Secrets and Headscale. So an operator that
/// is killed anywhere goes on where it was, and no more than one key at a time can be used.
#[must_use]
pub fn decide(replica: &Replica<'_>) -> Answer {
    match replica.intent {
        Some(intent) => carry_out(replica, intent),
        None => judge(replica),
    }
}

fn judge(replica: &Replica<'_>) -> Answer {
    let config = match replica.config {
        Config::Missing => None,
        Config::NoKey => Some(None),
        Config::Key(key) => Some(Some(key)),
    };
    let (occasion, config) = match (replica.marker, config) {
        (_, None) => (Occasion::First, None),
        (None, Some(key)) => return steady(replica, key),
        (Some(marker), Some(key)) if is_answer(marker, key) => return Answer::Answered,
        (Some(_), Some(key)) => (Occasion::Reissue, key),
    };
    let Control::Available { device, key, .. } = replica.control else {
        return Answer::ControlUnavailable;
    };
    if !replica.token {
        return Answer::RateLimited;
    }
    // Without a key in the config there is none to judge.
    let usable = match key {
        KeyView::Usable(id) if config.is_some() => Some(id),
        _ => None,
    };
    // Nothing is wrong with what the node has: it asked in an outage. It needs another key to go
    // on, and nothing else.
    let false_alarm = usable.is_some() || device == (NodeView::Known { alive: true });
    let old = replica.device_id.filter(|_| {
        occasion == Occasion::Reissue
            && replica.policy == Policy::Recreate
            && matches!(device, NodeView::Known { .. })
    });
    let (keep, delete) = if false_alarm { (old, None) } else { (None, old) };
    Answer::Begin(Intent { occasion, delete, expire: usable, keep })
}

/// No marker: the node logs in, or is in.
fn steady(replica: &Replica<'_>, config: Option<&AuthKey>) -> Answer {
    let Control::Available { device, key, .. } = replica.control else {
        return Answer::Idle;
    };
    // A `device_id` whose node is gone is from before: the key is not used yet.
    let Some(id) = replica.device_id.filter(|_| matches!(device, NodeView::Known { .. })) else {
        return Answer::Idle;
    };
    // One that can be used may be about to be, and would be out of sight.
    if config.is_some() && !matches!(key, KeyView::Usable(_)) {
        return Answer::DropKey;
    }
    match replica.kept {
        Some(kept) => Answer::Retire { delete: (kept != id).then_some(kept) },
        None => Answer::Idle,
    }
}

fn carry_out(replica: &Replica<'_>, intent: Intent) -> Answer {
    let Control::Available { device, key, orphans } = replica.control else {
        return Answer::ControlUnavailable;
    };
    if let Some(orphan) = orphans.first() {
        return Answer::Expire(*orphan);
    }
    // The request was withdrawn.
    if intent.occasion == Occasion::Reissue && replica.marker.is_none() {
        return Answer::Abandon;
    }
    if let Some(old) = intent.delete
        && replica.device_id == Some(old)
        && matches!(device, NodeView::Known { .. })
    {
        return Answer::DeleteNode(old);
    }
    if let (Some(old), KeyView::Usable(id)) = (intent.expire, key)
        && old == id
    {
        return Answer::Expire(old);
    }
    Answer::Mint
}
