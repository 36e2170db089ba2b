//! What the node writes into its state Secret, and when.

use super::fields::{
    CURRENT_PROFILE, DEVICE_FQDN, DEVICE_ID, DEVICE_IPS, KNOWN_PROFILES, MACHINE_KEY, NO_AUTHKEY,
    REISSUE_AUTHKEY,
};
use super::patch::SecretPatch;
use crate::AuthKey;

/// How much of the state Secret is cleared when a new key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clearing {
    /// All that tailscaled logs in with, too: after a restart it is a new machine, as stock nodes
    /// are. Only for a tailscaled that is restarted: a running one would not write its machine key
    /// again.
    Login,
    /// The marker and what is known of the device: tailscaled runs on and keeps its machine key.
    Device,
}

/// The marker in the value of `reissue_authkey`: `None` where the field is absent. What is no
/// UTF-8 never equals a key, and the text `no-authkey` means the empty one.
#[must_use]
pub fn marker(value: Option<&[u8]>) -> Option<AuthKey> {
    let text = String::from_utf8_lossy(value?);
    Some(AuthKey::new(if text == NO_AUTHKEY { "" } else { &text }))
}

/// The request for another key than `failed`, which is empty where there was none: set to nothing
/// then, and not removed.
#[must_use]
pub fn request(failed: &AuthKey) -> SecretPatch {
    SecretPatch::default().set_key(REISSUE_AUTHKEY, failed)
}

/// The acknowledgement: clears the marker and what `clearing` names. `current_profile` is the
/// value of `_current-profile` in the state Secret, which names one more field to clear.
#[must_use]
pub fn clear(clearing: Clearing, current_profile: Option<&str>) -> SecretPatch {
    let device = [REISSUE_AUTHKEY, DEVICE_ID, DEVICE_FQDN, DEVICE_IPS];
    let patch = device.iter().fold(SecretPatch::default(), |patch, name| patch.remove(name));
    match clearing {
        Clearing::Device => patch,
        Clearing::Login => [MACHINE_KEY, CURRENT_PROFILE, KNOWN_PROFILES]
            .into_iter()
            .chain(current_profile.filter(|name| !name.is_empty()))
            .fold(patch, SecretPatch::remove),
    }
}

/// What is cleared when a node starts: the marker, and only where the operator answered while the
/// node was down, so that the config has a key and another one. `None`: nothing.
#[must_use]
pub fn reset_at_boot(marker: Option<&AuthKey>, config: Option<&AuthKey>) -> Option<SecretPatch> {
    is_answer(marker?, config).then(|| SecretPatch::default().remove(REISSUE_AUTHKEY))
}

/// Whether the key in the config, `None` where it has none, is an answer to a request that named
/// `failed`: there is one, and it is another one.
#[must_use]
pub fn is_answer(failed: &AuthKey, config: Option<&AuthKey>) -> bool {
    config.is_some_and(|key| !key.is_empty() && !key.is_same(failed))
}

/// What a node tells of itself once it is logged in: its stable id, its name (with the dot at its
/// end, as tailscaled gives it) and its addresses. A request that still stands is withdrawn: stock
/// nodes leave it, and have their operator answer nobody.
#[must_use]
pub fn publish(device_id: &str, fqdn: &str, ips: &[String]) -> SecretPatch {
    SecretPatch::default()
        .remove(REISSUE_AUTHKEY)
        .set(DEVICE_ID, device_id)
        .set(DEVICE_FQDN, fqdn)
        .set(DEVICE_IPS, &serde_json::Value::from(ips.to_vec()).to_string())
}
