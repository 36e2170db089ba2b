//! What the host holds for one call.

use std::fmt;

use serde::Serialize;
use wasmtime::component::Linker;
use wasmtime::{StoreContextMut, Trap};

use crate::bindings::headscale::policy::log::Level as WitLevel;
use crate::limits::{Limit, Limits, Meter};
use crate::reachability::Memo;
use crate::subject::View;
use crate::text;

/// Fuel for a note, beside one for each of its bytes.
const NOTE: u64 = 1_000;

/// How urgent a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warn,
    /// Worth knowing.
    Info,
    /// For whoever looks for a mistake.
    Debug,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

/// A note of a plugin, for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// How urgent it is.
    pub level: Level,
    /// What it says.
    pub message: String,
}

/// The notes of a call, as far as they are kept.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) notes: Vec<Note>,
    /// The last note where it was not kept.
    last: Option<String>,
    /// Bytes that are still kept.
    left: usize,
    /// How many were not.
    pub(crate) dropped: u64,
}

impl Log {
    /// The last note, which tells why a plugin broke off.
    pub(crate) fn last(&self) -> Option<String> {
        let kept = self.notes.last().map(|note| note.message.as_str());
        self.last.as_deref().or(kept).map(|message| text::line(message, 1_000))
    }

    fn write(&mut self, level: WitLevel, message: String) {
        // A note costs something to keep even where it says nothing.
        let size = message.len().max(32);
        if size > self.left {
            self.dropped += 1;
            self.last = Some(message);
            return;
        }
        self.left -= size;
        let level = match level {
            WitLevel::Error => Level::Error,
            WitLevel::Warn => Level::Warn,
            WitLevel::Info => Level::Info,
            WitLevel::Debug => Level::Debug,
        };
        self.notes.push(Note { level, message: text::lines(&message, message.len()) });
        self.last = None;
    }
}

/// What the host holds for one call.
pub(crate) struct Context {
    pub(crate) meter: Meter,
    pub(crate) log: Log,
    /// What is asked about; nothing where there is no policy yet.
    pub(crate) view: Option<View>,
    pub(crate) memo: Memo,
}

impl Context {
    pub(crate) fn new(limits: &Limits, view: Option<View>) -> Self {
        let log = Log { left: limits.bytes(Limit::Log), ..Log::default() };
        Self { meter: Meter::new(*limits), log, view, memo: Memo::default() }
    }
}

/// Takes `fuel` from a call for what the host does for it.
///
/// # Errors
///
/// The trap of a call that has no more.
pub(crate) fn charge(
    store: &mut StoreContextMut<'_, Context>,
    fuel: u64,
) -> Result<(), wasmtime::Error> {
    match store.get_fuel()?.checked_sub(fuel) {
        Some(left) => store.set_fuel(left),
        None => {
            store.set_fuel(0)?;
            Err(Trap::OutOfFuel.into())
        }
    }
}

/// Gives plugins `log`.
pub(crate) fn add_log(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    let mut log = linker.instance("headscale:policy/log@0.1.0")?;
    log.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, Context>, (level, message): (WitLevel, String)| {
            charge(&mut store, NOTE + message.len() as u64)?;
            store.data_mut().log.write(level, message);
            Ok(())
        },
    )
}
