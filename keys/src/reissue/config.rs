//! The files of the config Secret, which are tailscaled's own (`ipn.ConfigVAlpha`).

/// What `version` must say in a file.
pub const CONFIG_VERSION: &str = "alpha0";

/// The capability version up to which [`CONFIG_FIELDS`] is complete.
pub const MAX_KNOWN_CAPABILITY: u32 = 145;

/// The fields of a file, matched without regard to case as Go does. tailscaled refuses a file that
/// has any other.
pub const CONFIG_FIELDS: &[&str] = &[
    "Version",
    "Locked",
    "ServerURL",
    "AuthKey",
    "Enabled",
    "OperatorUser",
    "Hostname",
    "acceptDNS",
    "acceptRoutes",
    "exitNode",
    "allowLANWhileUsingExitNode",
    "AdvertiseRoutes",
    "DisableSNAT",
    "AdvertiseServices",
    "AppConnector",
    "NetfilterMode",
    "NoStatefulFiltering",
    "PostureChecking",
    "RunSSHServer",
    "RunWebClient",
    "ShieldsUp",
    "AutoUpdate",
    "ServeConfigTemp",
    "StaticEndpoints",
    "RelayServerPort",
    "RelayServerStaticEndpoints",
];

/// The capability version that a file named `name` is written for: `cap-<N>.hujson`. `None` for
/// other names.
#[must_use]
pub fn config_capability(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("cap-")?.strip_suffix(".hujson")?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The file that a tailscaled of capability version `own` takes: the highest `cap-<N>.hujson` with
/// N not above it. `None` where there is none.
pub fn choose_config<'n>(names: impl IntoIterator<Item = &'n str>, own: u32) -> Option<&'n str> {
    names
        .into_iter()
        .filter_map(|name| Some((config_capability(name)?, name)))
        .filter(|(capability, _)| *capability <= own)
        .max_by_key(|(capability, _)| *capability)
        .map(|(_, name)| name)
}
