//! What a plugin may use.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use wasmtime::ResourceLimiter;

/// A limit, as users name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Bytes of a component.
    Size,
    /// Functions in a component.
    Functions,
    /// Bytes of code in a component.
    Code,
    /// Branches in a component, times the values that may be needed behind each: what its compiler
    /// takes most of its time and memory for.
    Branches,
    /// Steps of a call, about one for each instruction: the same for the same input everywhere.
    Fuel,
    /// Milliseconds of a call.
    Time,
    /// Bytes of all memories of a call.
    Memory,
    /// Elements of all tables of a call.
    Tables,
    /// Core instances, memories or tables of a call.
    Instances,
    /// Bytes that a call hands to the host at once.
    Results,
    /// Bytes of the stack of a call.
    Stack,
    /// Bytes of notes that are kept of a call.
    Log,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Size,
        Self::Functions,
        Self::Code,
        Self::Branches,
        Self::Fuel,
        Self::Time,
        Self::Memory,
        Self::Tables,
        Self::Instances,
        Self::Results,
        Self::Stack,
        Self::Log,
    ];

    /// Its name: `fuel`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Functions => "functions",
            Self::Code => "code",
            Self::Branches => "branches",
            Self::Fuel => "fuel",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Instances => "instances",
            Self::Results => "results",
            Self::Stack => "stack",
            Self::Log => "log",
        }
    }

    /// What it counts: `bytes`.
    const fn unit(self) -> &'static str {
        match self {
            Self::Functions => " functions",
            Self::Branches => " branches times values",
            Self::Fuel => " steps",
            Self::Time => " ms",
            Self::Tables => " elements",
            Self::Instances => "",
            Self::Size | Self::Code | Self::Memory | Self::Results | Self::Stack | Self::Log => {
                " bytes"
            }
        }
    }

    /// The largest value that it can have.
    const fn most(self) -> u64 {
        match self {
            // What is left of a thread's stack is the host's own.
            Self::Stack => 1 << 20,
            // Offsets in it have 32 bits.
            Self::Size | Self::Code | Self::Memory | Self::Results | Self::Log => u32::MAX as u64,
            Self::Functions | Self::Tables | Self::Instances => u32::MAX as u64,
            Self::Fuel | Self::Branches => u64::MAX / 2,
            Self::Time => 24 * 60 * 60 * 1_000,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The limits of a host. Those from [`Limit::Fuel`] on are for each call by itself.
///
/// # Examples
///
/// ```
/// use headscale_policy_host::{Limit, Limits};
///
/// let mut limits = Limits::default();
/// assert_eq!(limits.get(Limit::Memory), 64 << 20);
/// limits.set("memory=128MiB").unwrap();
/// limits.set("time=5s").unwrap();
/// assert_eq!(limits.get(Limit::Memory), 128 << 20);
/// assert_eq!(limits.get(Limit::Time), 5_000);
/// let error = limits.set("fule=1").unwrap_err();
/// assert!(error.to_string().starts_with("there is no limit \"fule\""));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits([u64; Limit::ALL.len()]);

impl Default for Limits {
    fn default() -> Self {
        Self(Limit::ALL.map(|limit| match limit {
            Limit::Size => 32 << 20,
            Limit::Functions => 50_000,
            Limit::Code => 16 << 20,
            Limit::Branches => 5_000_000,
            Limit::Fuel => 2_000_000_000,
            // Well above what the fuel takes, so that the fuel decides, alike on every machine.
            Limit::Time => 10_000,
            Limit::Memory => 64 << 20,
            Limit::Tables => 100_000,
            Limit::Instances => 128,
            Limit::Results => 8 << 20,
            Limit::Stack => 512 << 10,
            Limit::Log => 64 << 10,
        }))
    }
}

/// Why a limit cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LimitError {
    /// Not `NAME=VALUE`.
    #[error("expected NAME=VALUE, such as fuel=4000000000, memory=128MiB or time=5s: {0:?}")]
    Form(String),
    /// There is none with this name.
    #[error("there is no limit {0:?}: there are {names}", names = names())]
    Unknown(String),
    /// The value is too large.
    #[error("the limit {0} can be {most} at most", most = .0.most())]
    TooLarge(Limit),
}

fn names() -> String {
    Limit::ALL.map(Limit::as_str).join(", ")
}

impl Limits {
    /// The value of a limit.
    #[must_use]
    pub fn get(&self, limit: Limit) -> u64 {
        self.0.get(limit as usize).copied().unwrap_or_default()
    }

    /// The same with one of another value, as far as that can be.
    #[must_use]
    pub fn with(mut self, limit: Limit, value: u64) -> Self {
        if let Some(known) = self.0.get_mut(limit as usize) {
            *known = value.min(limit.most());
        }
        self
    }

    /// Sets a limit as a user writes it: `NAME=VALUE` with a whole number, for bytes perhaps with
    /// `KiB`, `MiB` or `GiB`, for time with `ms` (as without) or `s`.
    ///
    /// # Errors
    ///
    /// When there is no such limit, or it cannot have that value.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let form = || LimitError::Form(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(form)?;
        let known = Limit::ALL.into_iter().find(|limit| limit.as_str() == name);
        let limit = known.ok_or_else(|| LimitError::Unknown(name.to_owned()))?;
        let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = value.get(digits.len()..).unwrap_or_default();
        let factor = match (limit.unit(), unit) {
            (_, "") | (" ms", "ms") => 1,
            (" ms", "s") => 1_000,
            (" bytes", "KiB") => 1 << 10,
            (" bytes", "MiB") => 1 << 20,
            (" bytes", "GiB") => 1 << 30,
            _ => return Err(form()),
        };
        let number: u64 = digits.parse().map_err(|_| form())?;
        let value = number.checked_mul(factor).filter(|value| *value <= limit.most());
        *self = self.with(limit, value.ok_or(LimitError::TooLarge(limit))?);
        Ok(())
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(self.get(Limit::Time))
    }

    pub(crate) fn bytes(&self, limit: Limit) -> usize {
        usize::try_from(self.get(limit)).unwrap_or(usize::MAX)
    }
}

/// A limit that was hit, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "more than {value}{unit}, the limit `{limit}`; raise it with --plugin-limit {limit}={value}",
    unit = .limit.unit()
)]
pub struct Hit {
    /// Which.
    pub limit: Limit,
    /// Its value.
    pub value: u64,
}

impl Hit {
    pub(crate) fn of(limit: Limit, limits: &Limits) -> Self {
        Self { limit, value: limits.get(limit) }
    }
}

/// Counts what all memories and tables of a call take together.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    memory: u64,
    tables: u64,
}

impl Meter {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, tables: 0 }
    }

    /// Bytes of all memories; a memory never shrinks, so it is the most there was.
    pub(crate) const fn memory(&self) -> u64 {
        self.memory
    }

    fn grow(&mut self, limit: Limit, grown: usize) -> wasmtime::Result<bool> {
        let known = if limit == Limit::Memory { &mut self.memory } else { &mut self.tables };
        let total = known.saturating_add(grown as u64);
        if total > self.limits.get(limit) {
            // An error is a trap. A mere `false` would let the plugin go on, to trap without a word.
            return Err(Hit::of(limit, &self.limits).into());
        }
        *known = total;
        Ok(true)
    }

    fn count(&self) -> usize {
        self.limits.bytes(Limit::Instances)
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(Limit::Memory, desired.saturating_sub(current))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(Limit::Tables, desired.saturating_sub(current))
    }

    fn instances(&self) -> usize {
        self.count()
    }

    fn tables(&self) -> usize {
        self.count()
    }

    fn memories(&self) -> usize {
        self.count()
    }
}
