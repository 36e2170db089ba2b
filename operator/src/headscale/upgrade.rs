//! Which version of Headscale comes next.
//!
//! Headscale 0.29 and newer refuse a database of another minor version than the one before, and
//! never go back (`hscontrol/db/versioncheck.go`). Patch versions of one minor come in any order.

use headscale_acl::Version;
use thiserror::Error;

/// The newest patch version of each minor version that others are reached through.
const STEPS: [((u64, u64), &str); 2] = [((0, 28), "0.28.0"), ((0, 29), "0.29.2")];

/// A version with its minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Release<'t> {
    text: &'t str,
    minor: (u64, u64),
}

impl<'t> Release<'t> {
    /// Reads `v0.28.0`, `0.29` or `0.30.0-beta.1`: what can be the tag of an image.
    fn parse(text: &'t str) -> Option<Self> {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let numbers = numbers.split(['-', '+']).next()?;
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        let minor = (parts.next()??, parts.next()??);
        // `0.29.*` is no tag.
        let is_good = parts.next().is_none_or(|patch| patch.is_some()) && parts.next().is_none();
        is_good.then_some(Self { text, minor })
    }

    fn is_known(&self) -> bool {
        known().any(|known| known == self.minor)
    }

    fn is_too_new(&self) -> bool {
        known().all(|known| known < self.minor)
    }
}

/// The minor versions that this operator knows, oldest first.
fn known() -> impl Iterator<Item = (u64, u64)> {
    Version::ALL.into_iter().filter_map(|version| Some(Release::parse(version.as_str())?.minor))
}

fn minor_text((major, minor): (u64, u64)) -> String {
    format!("{major}.{minor}")
}

/// The minor version of a version, such as `0.29` of `v0.29.2`; `None` for what is no version.
#[must_use]
pub fn minor(version: &str) -> Option<String> {
    Release::parse(version).map(|release| minor_text(release.minor))
}

/// What the version is decided from.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What the spec says.
    pub wanted: &'a str,
    /// What the pod is made from now; `None` where there never was one.
    pub running: Option<&'a str>,
    /// Whether that works.
    pub is_healthy: bool,
    /// Whether no server is to run.
    pub is_off: bool,
    /// Whether the image has a digest, so that no other version can be had of it.
    pub is_pinned: bool,
    /// Whether the database is PostgreSQL, of which no copy is made.
    pub is_postgres: bool,
    /// The minor version that the spec says may be stepped to without a copy.
    pub consent: Option<&'a str>,
}

/// What comes of the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// This is to run, and nothing has to be stepped through.
    Run(String),
    /// This is next, and works with the database of what runs.
    Step(String),
    /// What runs stays; it is `None` where it is a version that nothing is known of.
    Stay {
        /// The version that runs.
        version: Option<String>,
        /// Why.
        why: Why,
    },
}

/// Why a version is not run, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// It is no version.
    #[error("spec.version {0:?} is no version: expected one such as 0.29.2, of 0.28, 0.29 or 0.30")]
    NoVersion(String),
    /// It is older than anything that is known.
    #[error("spec.version {0} is older than what this operator knows: expected 0.28, 0.29 or 0.30")]
    TooOld(String),
    /// It is newer than anything that is known.
    #[error(
        "spec.version {0} is newer than what this operator knows: expected 0.28, 0.29 or 0.30, or \
         update the operator first"
    )]
    TooNew(String),
    /// It is older than what runs.
    #[error(
        "spec.version {wanted} is older than {running}, which runs, and Headscale refuses to go \
         back once its database was migrated: set spec.version to {running}, or restore the backup \
         that was made before the step"
    )]
    Downgrade {
        /// What runs.
        running: String,
        /// What is wanted.
        wanted: String,
    },
    /// It is not known what steps lead from what runs.
    #[error(
        "the server runs {running:?}, and steps are known from 0.27 on: update it by hand to 0.28, \
         minor version by minor version, then set spec.version"
    )]
    UnknownRunning {
        /// What runs.
        running: String,
    },
    /// The image cannot be had in another version.
    #[error(
        "spec.image has a digest, and between {running} and {wanted} there are minor versions that \
         Headscale must not skip: set image and version to {next} first"
    )]
    Pinned {
        /// What runs.
        running: String,
        /// What is wanted.
        wanted: String,
        /// The minor version that comes next.
        next: String,
    },
    /// The database is not copied.
    #[error(
        "the step to {next} migrates the PostgreSQL database, which this operator does not copy: \
         back it up, then set spec.upgrade.backupConfirmed to {next:?}"
    )]
    NoBackup {
        /// The minor version that comes next.
        next: String,
    },
    /// What runs does not work yet.
    #[error("{next} comes once {running} is ready")]
    Unhealthy {
        /// What runs.
        running: String,
        /// The minor version that comes next.
        next: String,
    },
    /// No server runs.
    #[error(
        "spec.replicas is 0, and the step to {next} needs a server that is ready before and after: \
         set it to 1"
    )]
    Off {
        /// The minor version that comes next.
        next: String,
    },
}

impl Why {
    /// One word for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoVersion(_) | Self::TooOld(_) | Self::TooNew(_) => "VersionUnsupported",
            Self::Downgrade { .. } => "DowngradeRefused",
            Self::UnknownRunning { .. } | Self::Pinned { .. } => "UpgradeRefused",
            Self::NoBackup { .. } => "BackupNotConfirmed",
            Self::Unhealthy { .. } => "UpgradeWaiting",
            Self::Off { .. } => "ScaledToZero",
        }
    }

    /// Whether it ends by itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unhealthy { .. })
    }

    /// Whether the version that is wanted can be run some time, so that what it says to the
    /// configuration counts.
    #[must_use]
    pub fn is_delay(&self) -> bool {
        matches!(self, Self::Unhealthy { .. } | Self::NoBackup { .. } | Self::Off { .. })
    }
}

/// What comes of the version.
#[must_use]
pub fn course(question: &Question<'_>) -> Course {
    let running = question.running.and_then(Release::parse);
    let known = running.filter(Release::is_known).map(|running| running.text.to_owned());
    let stay = |why| Course::Stay { version: known.clone(), why };
    let text = || question.wanted.to_owned();
    let Some(wanted) = Release::parse(question.wanted) else { return stay(Why::NoVersion(text())) };
    if wanted.is_too_new() {
        return stay(Why::TooNew(text()));
    }
    if !wanted.is_known() {
        return stay(Why::TooOld(text()));
    }
    let Some(running_text) = question.running else { return Course::Run(text()) };
    let running_text = running_text.to_owned();
    let Some(running) = running else {
        return stay(Why::UnknownRunning { running: running_text });
    };
    if running.minor == wanted.minor {
        return Course::Run(text());
    }
    if running.minor > wanted.minor {
        return stay(Why::Downgrade { running: running_text, wanted: text() });
    }
    let next = (running.minor.0, running.minor.1.saturating_add(1));
    let next_text = minor_text(next);
    if !self::known().any(|known| known == next) {
        return stay(Why::UnknownRunning { running: running_text });
    }
    if question.is_pinned && next != wanted.minor {
        return stay(Why::Pinned { running: running_text, wanted: text(), next: next_text });
    }
    if question.is_off {
        return stay(Why::Off { next: next_text });
    }
    if question.is_postgres && !consents(question.consent, next, wanted.minor) {
        return stay(Why::NoBackup { next: next_text });
    }
    if !question.is_healthy {
        return stay(Why::Unhealthy { running: running_text, next: next_text });
    }
    if next == wanted.minor {
        return Course::Step(text());
    }
    let step = STEPS.iter().find(|(minor, _)| *minor == next);
    let prefix = if wanted.text.starts_with('v') { "v" } else { "" };
    match step {
        Some((_, version)) => Course::Step(format!("{prefix}{version}")),
        None => stay(Why::UnknownRunning { running: running_text }),
    }
}

/// Whether the database has a backup of before this step: one of before a later step that is on the
/// same way is as good.
fn consents(consent: Option<&str>, next: (u64, u64), wanted: (u64, u64)) -> bool {
    let consent = consent.and_then(Release::parse);
    consent.is_some_and(|consent| (next..=wanted).contains(&consent.minor))
}

/// The versions that are stepped through after `version`, up to the one that is wanted, which is
/// the last.
#[must_use]
pub fn ahead(version: &str, wanted: &str) -> Vec<String> {
    let (Some(from), Some(to)) = (Release::parse(version), Release::parse(wanted)) else {
        return Vec::new();
    };
    if from.minor >= to.minor || !to.is_known() {
        return Vec::new();
    }
    let between = STEPS.iter().filter(|(minor, _)| (from.minor < *minor) && (*minor < to.minor));
    let between = between.map(|(_, version)| (*version).to_owned());
    between.chain(std::iter::once(wanted.to_owned())).collect()
}
