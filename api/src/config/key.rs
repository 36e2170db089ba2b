//! What is known of one key of the configuration.

use headscale_acl::Version;
use serde_json::Value;

use super::table;

/// A key of Headscale's `config.yaml`, also one that some or all known versions no longer have.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its path, with dots, in lower case: `dns.nameservers.global`.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The value that counts where it is not set, as it is written in YAML; empty for none.
    pub default: &'static str,
    /// The versions that read it, oldest first; none for what went before 0.28.
    pub versions: &'static [Version],
    /// What came of it in the versions after these.
    pub removed: Option<Removed>,
    /// Whether it decides who may do what: a value of it that is read as something else, or not
    /// read at all, is an error even where Headscale starts.
    pub is_security: bool,
    /// What it does, in a sentence.
    pub doc: &'static str,
}

/// What came of a key that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What to write instead.
    pub successor: Successor,
    /// Whether Headscale starts with it.
    pub refusal: Refusal,
}

/// What to write instead of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// The key with this path.
    Key(&'static str),
    /// `prefixes.v4` and `prefixes.v6`, of a list of both.
    Prefixes,
    /// This field at the top of the policy.
    Policy(&'static str),
    /// Nothing.
    None,
}

/// When Headscale does not start because of a removed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Whenever it is set.
    Always,
    /// Where its successor is not set too.
    UnlessSuccessor,
    /// Never: it is ignored.
    Never,
}

/// What the value of a key is. Headscale converts what it is given, and takes what it cannot
/// convert as if nothing stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// Any text.
    Text,
    /// Text that nobody else may know.
    Secret,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A duration as Go has it, such as `1h30m`.
    Duration,
    /// A duration as Prometheus has it, such as `180d`; `0` for never.
    Expiry,
    /// An address to listen on, such as `0.0.0.0:8080`.
    Listen,
    /// A URL with `http` or `https`.
    Url,
    /// A file or folder.
    Path,
    /// An IPv4 prefix.
    Prefix4,
    /// An IPv6 prefix.
    Prefix6,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// Permissions of a file, as text in octal digits.
    Mode,
    /// `true`, `false` or an `sslmode` of PostgreSQL.
    SslMode,
    /// A list of texts.
    Texts,
    /// A list of files.
    Paths,
    /// A list of URLs.
    Urls,
    /// A list of prefixes.
    Prefixes,
    /// A list of DNS servers: addresses or URLs.
    Nameservers,
    /// DNS servers of domains.
    SplitNameservers,
    /// Texts by name.
    TextMap,
    /// DNS records.
    Records,
}

impl Kind {
    /// What it is called in sentences, with its article.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Text | Self::Secret => "text",
            Self::Choice(_) => "one of some words",
            Self::Duration => "a duration such as 30m",
            Self::Expiry => "a duration such as 180d, or 0 for never",
            Self::Listen => "an address with a port",
            Self::Url => "a URL",
            Self::Path => "a path",
            Self::Prefix4 => "an IPv4 prefix",
            Self::Prefix6 => "an IPv6 prefix",
            Self::Ip4 => "an IPv4 address",
            Self::Ip6 => "an IPv6 address",
            Self::Mode => "permissions as quoted octal digits",
            Self::SslMode => "true, false or an sslmode of PostgreSQL",
            Self::Texts => "a list of texts",
            Self::Paths => "a list of paths",
            Self::Urls => "a list of URLs",
            Self::Prefixes => "a list of prefixes",
            Self::Nameservers => "a list of addresses or URLs",
            Self::SplitNameservers => "domains with lists of addresses or URLs",
            Self::TextMap => "names with texts",
            Self::Records => "a list of records with name, type and value",
        }
    }

    /// Whether the value is a list of something.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::Texts
                | Self::Paths
                | Self::Urls
                | Self::Prefixes
                | Self::Nameservers
                | Self::Records
        )
    }

    /// Whether the value is an object whose members have any name.
    #[must_use]
    pub const fn is_map(self) -> bool {
        matches!(self, Self::TextMap | Self::SplitNameservers)
    }
}

impl Key {
    /// Whether `version` reads it.
    #[must_use]
    pub fn is_in(&self, version: Version) -> bool {
        self.versions.contains(&version)
    }

    /// The first version that reads it, where that is not every known one; `None` also for what no
    /// known version reads.
    #[must_use]
    pub fn since(&self) -> Option<Version> {
        self.versions.first().copied().filter(|first| Version::ALL.first() != Some(first))
    }

    /// The last version that reads it, where a known one follows; `None` also for what no known
    /// version reads.
    #[must_use]
    pub fn until(&self) -> Option<Version> {
        self.versions.last().copied().filter(|last| Version::ALL.last() != Some(last))
    }

    /// The value that counts where it is not set: `None` where there is none.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        let text = self.default;
        if text.is_empty() {
            return None;
        }
        let plain = || Value::String(text.to_owned());
        Some(match self.kind {
            // As text, because that is how Headscale states it.
            Kind::Expiry | Kind::Mode | Kind::Duration => plain(),
            _ => serde_json::from_str(text).unwrap_or_else(|_| plain()),
        })
    }
}

/// All keys, also those that are gone; those of one group together, in the order of Headscale's
/// example.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    table::ALL.into_iter().flatten()
}

/// The key with this path, in whatever case.
#[must_use]
pub fn key(path: &str) -> Option<&'static Key> {
    keys().find(|key| key.path.eq_ignore_ascii_case(path))
}
