//! Rules about Headscale's `config.yaml` that are our own advice: Headscale starts with what breaks
//! one. They are checked in the `config` module of `headscale-api`. No policy breaks them, so they
//! have no examples.

super::rules! { Lint;

CONFIG_UNKNOWN_KEY = "config-unknown-key", Warning, "a key that no known version has" {
    "Headscale says nothing about keys that it does not know: what stands there has no effect. It is \
     an error where the key looks like a misspelt one that decides who may do what, such as \
     `oidc.allowed_group`."
    bad: "";
    good: "";
}

CONFIG_IGNORED_KEY = "config-ignored-key", Warning, "a key that this version does not read" {
    "The key is of an older or of a newer version, and has no effect in this one. Headscale says so \
     at most in its log. `ephemeral_node_inactivity_timeout` is announced as deprecated since 0.29, \
     but not read either: nodes go after 2 minutes. It is an error where the key decides who may do \
     what."
    bad: "";
    good: "";
}

CONFIG_WRONG_TYPE = "config-wrong-type", Warning, "a value of another type than its key has" {
    "Headscale takes what it cannot convert as if it were nothing: no text, zero, false or an empty \
     list. `yes` and `on` are texts here, and read as false. It is an error where the key decides \
     who may do what: an object under `oidc.allowed_domains` lets everybody in."
    bad: "";
    good: "";
}

CONFIG_BAD_VALUE = "config-bad-value", Warning, "a value that does not do what it says" {
    "Headscale starts with it, and takes another value instead, or fails when it comes to use it: a \
     bad `log.level` is `debug`, a bad `node.expiry` is never, a number as a duration is one of \
     nanoseconds. It is an error where the key decides who may do what."
    bad: "";
    good: "";
}

CONFIG_SOCKET_PERMISSION = "config-socket-permission", Warning, "permissions of the socket other than they look" {
    "`unix_socket_permission` is text in octal digits, such as `\"0770\"`. Without quotes YAML reads \
     0770 as the number 504, and Headscale then reads the digits 504. What it cannot read, such as \
     `0o770`, is 0700. Whoever can write to the socket is an administrator, without any key."
    bad: "";
    good: "";
}

CONFIG_PLAINTEXT_SECRET = "config-plaintext-secret", Warning, "a secret that stands in the configuration" {
    "Configurations are read by many, and kept in version control and in ConfigMaps. Headscale takes \
     each key from its environment too, `HEADSCALE_DATABASE_POSTGRES_PASS` for example, and the \
     secret of OIDC from a file. In a cluster `spec.secrets` names a key of a Secret, and what no \
     version knows and is called like a secret is left out of the ConfigMap."
    bad: "";
    good: "";
}

CONFIG_PREFIX_RANGE = "config-prefix-range", Warning, "addresses that clients are not made for" {
    "Tailscale's clients treat 100.64.0.0/10 and fd7a:115c:a1e0::/48 as theirs, and no others. \
     Headscale takes other prefixes, warns, and does not support them. Parts of the two are fine."
    bad: "";
    good: "";
}

CONFIG_NODES_NEVER_EXPIRE = "config-nodes-never-expire", Warning, "logins through OIDC that last for ever" {
    "Up to 0.28 a node that logged in through OIDC had to do so again after `oidc.expiry`, 180 days \
     if it was not set. Since 0.29 `node.expiry` counts, for nodes without tags however they came, \
     and it is never if it is not set. Set it, to `0` if that is meant."
    bad: "";
    good: "";
}

CONFIG_TLS_ALPN_PORT = "config-tls-alpn-port", Warning, "TLS-ALPN-01 on another port than 443" {
    "With this challenge the certificate authority connects to port 443. That can lead to the \
     server's own port by other means, so Headscale only warns."
    bad: "";
    good: "";
}

CONFIG_TLS_SCHEME = "config-tls-scheme", Warning, "a server_url whose scheme is not what is served" {
    "A certificate is configured and `server_url` starts with `http://`, so clients speak plainly to a \
     server that wants TLS. The other way round is usual: a proxy in front has the certificate."
    bad: "";
    good: "";
}

CONFIG_DERP_OVER_HTTP = "config-derp-over-http", Warning, "an embedded relay that clients reach without TLS" {
    "Clients use the relay at the host and port of `server_url`, over TLS. With `http://` they do \
     not reach it, unless a proxy on the same port has a certificate."
    bad: "";
    good: "";
}

CONFIG_POSTGRES_INCOMPLETE = "config-postgres-incomplete", Warning, "PostgreSQL without a host, a name or a user" {
    "Headscale hands on what is empty, and the driver takes it from its own environment (`PGHOST`, \
     `PGDATABASE`, `PGUSER`) or guesses: the local socket, and the user that the server runs as."
    bad: "";
    good: "";
}

CONFIG_LOCAL_DOMAIN = "config-local-domain", Warning, "a base_domain below .local" {
    "Names below `.local` belong to multicast DNS: many systems never ask a DNS server for them, so \
     nodes are found on some and not on others. Use a domain of your own, or `.internal`."
    bad: "";
    good: "";
}

CONFIG_TRANSLATED = "config-translated", Info, "a key that was carried over to another one" {
    "The configuration of an instance in a cluster is written for its version: keys of older versions \
     become those that took their place, and what the version does not read any more is left out. \
     `oidc.expiry` becomes `node.expiry`, but for its default `180d` where no login ended by it: \
     without `oidc.issuer`, or with `oidc.use_expiry_from_token`. The object itself is not changed."
    bad: "";
    good: "";
}
}
