//! What Headscale has, held against what was written down: which nodes and keys are the replica's.
//!
//! A pod writes its own state Secret, `device_id` and all, and may be somebody else's by now. So
//! nothing that stands there is believed of a node: it is the replica's where it came in with a key
//! that was made for the replica and stands in the config Secret's record, which the pod cannot
//! write. Such a key is for one use, and its prefix is twelve characters by chance, so that neither
//! a number that is used again after a database was lost, nor another node, passes for it.

use headscale_client::{Node, PreAuthKey};
use headscale_keys::AuthKey;
use headscale_keys::pre_auth_key::KeyName;
use headscale_keys::reissue::{KeyId, KeyView, NodeView};
use jiff::{SignedDuration, Timestamp};

use super::record::{Reason, Record};

/// A node that was seen within this is taken to be well: so long an outage may take.
const OUTAGE: SignedDuration = SignedDuration::from_mins(5);

/// Whether the node came in with one of these keys.
#[must_use]
pub fn came_in_with(node: &Node, keys: &[KeyName], listed: &[PreAuthKey]) -> bool {
    let Some(used) = &node.pre_auth_key else { return false };
    let in_list = || listed.iter().find(|key| key.id == used.id)?.prefix.as_ref();
    let Some(prefix) = used.prefix.as_ref().or_else(in_list) else { return false };
    keys.iter().any(|key| key.id == used.id && key.prefix.as_ref() == Some(prefix))
}

fn is_expired(node: &Node, now: Timestamp) -> bool {
    // The zero time means that it never expires.
    node.expiry.is_some_and(|expiry| expiry.as_second() > 0 && expiry <= now)
}

/// Whether the node can be let in again. One that has tags keeps its expiry when its machine comes
/// again with another key (0.29 and 0.30), so that an expired one would stay so for ever.
#[must_use]
pub fn can_return(node: &Node, now: Timestamp) -> bool {
    node.tags.is_empty() || !is_expired(node, now)
}

/// How the node is.
#[must_use]
pub fn view_node(node: Option<&Node>, now: Timestamp) -> NodeView {
    let Some(node) = node else { return NodeView::Missing };
    let was_seen = node.last_seen.is_some_and(|seen| now.duration_since(seen) <= OUTAGE);
    NodeView::Known { alive: !is_expired(node, now) && (node.online || was_seen) }
}

fn is_usable(key: &PreAuthKey, now: Timestamp) -> bool {
    (key.reusable || !key.used) && key.expiration.is_some_and(|until| until > now)
}

/// The listed key that is the one in the config, where that was made for this node.
fn find<'l>(
    key: Option<&AuthKey>,
    record: &Record,
    listed: &'l [PreAuthKey],
) -> Option<&'l PreAuthKey> {
    let prefix = key?.prefix()?;
    let name = record.keys.iter().find(|name| name.prefix.as_ref() == Some(prefix))?;
    listed.iter().find(|it| it.id == name.id && it.prefix == name.prefix)
}

/// How the config's key is. One that was not made for this node is none of ours, whatever it is.
#[must_use]
pub fn view_key(
    key: Option<&AuthKey>,
    record: &Record,
    listed: &[PreAuthKey],
    now: Timestamp,
) -> KeyView {
    match find(key, record, listed) {
        None => KeyView::Missing,
        Some(listed) if is_usable(listed, now) => KeyView::Usable(KeyId(listed.id)),
        Some(_) => KeyView::Spent,
    }
}

/// Keys that were made for what is pending, and lost.
#[must_use]
pub fn orphans(record: &Record, listed: &[PreAuthKey], now: Timestamp) -> Vec<KeyId> {
    let Some(pending) = &record.pending else { return Vec::new() };
    let token = Some(pending.token.expiration());
    let lost = listed.iter().filter(|key| key.expiration == token && is_usable(key, now));
    lost.map(|key| KeyId(key.id)).collect()
}

/// Why another key is made for a node that asks, `device` being what Headscale has of it.
#[must_use]
pub fn reason(
    key: Option<&AuthKey>,
    record: &Record,
    listed: &[PreAuthKey],
    device: NodeView,
    now: Timestamp,
) -> Reason {
    match (find(key, record, listed), device) {
        (Some(found), _) if is_usable(found, now) => Reason::FalseAlarm,
        (_, NodeView::Known { alive: true }) => Reason::FalseAlarm,
        (Some(found), _) if found.used => Reason::Used,
        (Some(_), _) => Reason::Expired,
        (None, _) if key.is_some() => Reason::Unknown,
        (None, NodeView::Missing) => Reason::NodeGone,
        (None, NodeView::Known { .. }) => Reason::LoginLost,
    }
}
