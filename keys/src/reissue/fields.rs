//! Names of the fields of the state Secret. The first six are of Tailscale's `kube/kubetypes`, the
//! others are keys of tailscaled's own state (`ipn`), which `--state=kube:SECRET` writes there too.

/// The marker: the key that failed, or nothing where there was none.
pub const REISSUE_AUTHKEY: &str = "reissue_authkey";
/// The node's stable id, which is Headscale's number of it in decimal.
pub const DEVICE_ID: &str = "device_id";
/// The node's name in the tailnet, as tailscaled gives it: with a dot at its end.
pub const DEVICE_FQDN: &str = "device_fqdn";
/// The node's addresses in the tailnet, as text that is a JSON array.
pub const DEVICE_IPS: &str = "device_ips";
/// The UID of the pod that wrote last.
pub const POD_UID: &str = "pod_uid";
/// The capability version of the tailscaled that wrote last, in decimal.
pub const TAILSCALE_CAPVER: &str = "tailscale_capver";

/// What the node proves its machine with.
pub const MACHINE_KEY: &str = "_machinekey";
/// The name of the field that holds the profile in use.
pub const CURRENT_PROFILE: &str = "_current-profile";
/// The list of profiles.
pub const KNOWN_PROFILES: &str = "_profiles";

/// What stands for no key in a comment of `kubetypes`, though nothing is known to write it.
pub(super) const NO_AUTHKEY: &str = "no-authkey";
