//! Rules about Headscale's `config.yaml` that Headscale itself has: it does not start with what
//! breaks one. They are checked in the `config` module of `headscale-api`. No policy breaks them,
//! so they have no examples.

super::rules! { Headscale;

CONFIG_UNREADABLE = "config-unreadable", Error, "a configuration that does not consist of keys" {
    "The file must be a mapping of keys to values. An empty one is one without keys."
    bad: "";
    good: "";
}

CONFIG_REMOVED_KEY = "config-removed-key", Error, "a key that this version refuses to start with" {
    "Headscale looks for keys of older versions, and stops where it finds one whose meaning went \
     elsewhere, so that nobody believes in a setting that is no more. It stops whatever the value \
     is: `randomize_client_port: false` too. Write what the help says instead. For an instance in \
     a cluster the values are carried over to the new keys by themselves."
    bad: "";
    good: "";
}

CONFIG_MISSING_KEY = "config-missing-key", Error, "a key that Headscale does not start without" {
    "`noise.private_key_path`, `server_url`, `database.type` and a prefix are always needed. Others \
     are needed because of a setting: MagicDNS is on unless `dns.magic_dns` is false, and needs \
     `dns.base_domain`; `dns.override_local_dns` is on too, and needs `dns.nameservers.global`; an \
     embedded relay needs `derp.server.stun_listen_addr`; and since 0.30 `oidc.issuer` needs a \
     client with a secret."
    bad: "";
    good: "";
}

CONFIG_INVALID_VALUE = "config-invalid-value", Error, "a value that Headscale does not start with" {
    "The value cannot be read, is not among the allowed ones, or is out of bounds: the timeout of \
     ephemeral nodes must be above 65s, because clients report every 60s, and the probes of \
     routers must be over before the next one starts. A value that cannot be read counts as zero."
    bad: "";
    good: "";
}

CONFIG_EXCLUSIVE_KEYS = "config-exclusive-keys", Error, "two keys of which only one may be set" {
    "They say the same thing in two ways, and Headscale does not choose: a certificate of Let's \
     Encrypt or an own one, extra DNS records here or in a file, a secret here or in a file."
    bad: "";
    good: "";
}

CONFIG_SERVER_IN_BASE_DOMAIN = "config-server-in-base-domain", Error, "the server's own name within the domain of its nodes" {
    "Clients ask MagicDNS for all names below `dns.base_domain`. If the server's own name were one \
     of them, no client could find the server. Use two domains side by side, such as \
     `headscale.example.com` and `tailnet.example.com`. Up to 0.29 a port in `server_url` hid the \
     mistake from Headscale, but not from the clients."
    bad: "";
    good: "";
}

CONFIG_DERP_SERVER = "config-derp-server", Error, "an embedded relay that cannot work" {
    "The embedded relay has a private key of its own, which must not be the server's, and its region \
     must be told to clients: by itself, or in one of `derp.paths`."
    bad: "";
    good: "";
}

CONFIG_NO_RELAY = "config-no-relay", Error, "no relay at all" {
    "Nodes that cannot reach each other directly need a relay (DERP), and all of them use relays to \
     find out how they can be reached. Without `derp.urls`, `derp.paths` and the embedded relay \
     Headscale has none to tell, and stops. `headscale configtest` does not notice it."
    bad: "";
    good: "";
}
}
