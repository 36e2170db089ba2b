//! Keys that 0.29 and newer do not have, and older ones that none of the known versions has.

use super::{Key, Kind, NONE, Refusal, Successor, UP_TO_0_28, key};

pub(super) static KEYS: &[Key] = &[
    key(
        "ephemeral_node_inactivity_timeout",
        Kind::Duration,
        "120s",
        UP_TO_0_28,
        "How long an ephemeral node may be away before it is deleted; more than 65s. \
         Since 0.29 it is announced as deprecated, and not read.",
    )
    .removed(Successor::Key("node.ephemeral.inactivity_timeout"), Refusal::Never),
    key(
        "oidc.expiry",
        Kind::Expiry,
        "180d",
        UP_TO_0_28,
        "After what time nodes that logged in through OIDC must log in again; 0 for never.",
    )
    .removed(Successor::Key("node.expiry"), Refusal::Always)
    .security(),
    key(
        "randomize_client_port",
        Kind::Bool,
        "false",
        UP_TO_0_28,
        "Whether clients use a random port for WireGuard.",
    )
    .removed(Successor::Policy("randomizeClientPort"), Refusal::Always),
    key(
        "tuning.register_cache_cleanup",
        Kind::Duration,
        "",
        UP_TO_0_28,
        "How often forgotten logins are cleared away; 20m where it is not set.",
    )
    .removed(Successor::None, Refusal::Never),
    key("dns_config.magic_dns", Kind::Bool, "", NONE, "The name of dns.magic_dns up to 0.22.")
        .removed(Successor::Key("dns.magic_dns"), Refusal::UnlessSuccessor),
    key("dns_config.base_domain", Kind::Text, "", NONE, "The name of dns.base_domain up to 0.22.")
        .removed(Successor::Key("dns.base_domain"), Refusal::UnlessSuccessor),
    key(
        "dns_config.override_local_dns",
        Kind::Bool,
        "",
        NONE,
        "The name of dns.override_local_dns up to 0.22.",
    )
    .removed(Successor::Key("dns.override_local_dns"), Refusal::UnlessSuccessor),
    key(
        "dns_config.nameservers",
        Kind::Nameservers,
        "",
        NONE,
        "The name of dns.nameservers.global up to 0.22.",
    )
    .removed(Successor::Key("dns.nameservers.global"), Refusal::UnlessSuccessor),
    key(
        "dns_config.restricted_nameservers",
        Kind::SplitNameservers,
        "",
        NONE,
        "The name of dns.nameservers.split up to 0.22.",
    )
    .removed(Successor::Key("dns.nameservers.split"), Refusal::UnlessSuccessor),
    key("dns_config.domains", Kind::Texts, "", NONE, "The name of dns.search_domains up to 0.22.")
        .removed(Successor::Key("dns.search_domains"), Refusal::UnlessSuccessor),
    key(
        "dns_config.extra_records",
        Kind::Records,
        "",
        NONE,
        "The name of dns.extra_records up to 0.22.",
    )
    .removed(Successor::Key("dns.extra_records"), Refusal::UnlessSuccessor),
    key(
        "dns_config.use_username_in_magic_dns",
        Kind::Bool,
        "",
        NONE,
        "Whether nodes' names had their user in them, up to 0.22.",
    )
    .removed(Successor::None, Refusal::Always),
    key(
        "dns.use_username_in_magic_dns",
        Kind::Bool,
        "",
        NONE,
        "Whether nodes' names had their user in them, in 0.23.",
    )
    .removed(Successor::None, Refusal::Always),
    key("acl_policy_path", Kind::Path, "", NONE, "The name of policy.path up to 0.22.")
        .removed(Successor::Key("policy.path"), Refusal::UnlessSuccessor)
        .security(),
    key("ip_prefixes", Kind::Prefixes, "", NONE, "The name of prefixes up to 0.22, as one list.")
        .removed(Successor::Prefixes, Refusal::Never),
    key(
        "db_type",
        Kind::Choice(&["sqlite3", "postgres"]),
        "",
        NONE,
        "The name of database.type up to 0.22.",
    )
    .removed(Successor::Key("database.type"), Refusal::Never),
    key("db_path", Kind::Path, "", NONE, "The name of database.sqlite.path up to 0.22.")
        .removed(Successor::Key("database.sqlite.path"), Refusal::Never),
    key("db_host", Kind::Text, "", NONE, "The name of database.postgres.host up to 0.22.")
        .removed(Successor::Key("database.postgres.host"), Refusal::Never),
    key("db_port", Kind::Int, "", NONE, "The name of database.postgres.port up to 0.22.")
        .removed(Successor::Key("database.postgres.port"), Refusal::Never),
    key("db_name", Kind::Text, "", NONE, "The name of database.postgres.name up to 0.22.")
        .removed(Successor::Key("database.postgres.name"), Refusal::Never),
    key("db_user", Kind::Text, "", NONE, "The name of database.postgres.user up to 0.22.")
        .removed(Successor::Key("database.postgres.user"), Refusal::Never),
    key("db_pass", Kind::Secret, "", NONE, "The name of database.postgres.pass up to 0.22.")
        .removed(Successor::Key("database.postgres.pass"), Refusal::Never),
    key("db_ssl", Kind::SslMode, "", NONE, "The name of database.postgres.ssl up to 0.22.")
        .removed(Successor::Key("database.postgres.ssl"), Refusal::Never),
    key(
        "private_key_path",
        Kind::Path,
        "",
        NONE,
        "The private key of the protocol before Noise, which no client speaks any more; \
         noise.private_key_path is another key.",
    )
    .removed(Successor::None, Refusal::Never),
    key(
        "log_level",
        Kind::Choice(&["panic", "fatal", "error", "warn", "info", "debug", "trace"]),
        "",
        NONE,
        "The name of log.level up to 0.16.",
    )
    .removed(Successor::Key("log.level"), Refusal::Never),
    key(
        "node_update_check_interval",
        Kind::Duration,
        "",
        NONE,
        "How often changes of nodes were looked for, up to 0.22.",
    )
    .removed(Successor::None, Refusal::Never),
    key(
        "oidc.strip_email_domain",
        Kind::Bool,
        "",
        NONE,
        "Whether the domain was cut off e-mail addresses, up to 0.25.",
    )
    .removed(Successor::None, Refusal::Always),
    key(
        "oidc.map_legacy_users",
        Kind::Bool,
        "",
        NONE,
        "Whether users of 0.22 were found again by their name, up to 0.25.",
    )
    .removed(Successor::None, Refusal::Always),
    key(
        "oidc.enabled",
        Kind::Bool,
        "",
        NONE,
        "No version has it: OIDC is on where oidc.issuer is set.",
    )
    .removed(Successor::Key("oidc.issuer"), Refusal::Never),
    key(
        "derp.server.stun.enabled",
        Kind::Bool,
        "",
        NONE,
        "No known version reads it: the embedded relay always serves STUN.",
    )
    .removed(Successor::Key("derp.server.stun_listen_addr"), Refusal::Never),
    key(
        "tuning.node_map_session_buffered_chan_size",
        Kind::Int,
        "",
        NONE,
        "A spelling of the Go operator, which Headscale never had.",
    )
    .removed(Successor::Key("tuning.node_mapsession_buffered_chan_size"), Refusal::Never),
];
