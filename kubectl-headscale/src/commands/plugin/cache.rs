//! `kubectl headscale plugin cache`

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use headscale_policy_host::{CACHE_BYTES, prune};
use headscale_policy_registry::Store;
use serde_json::json;

use crate::commands::Context;
use crate::commands::policy::AnswerFormat;
use crate::error::{CommandError, io_words};
use crate::exit::Exit;
use crate::plugins::{cache, compiled, pulled, store_error};
use crate::table::table;

const EXAMPLES: &str = "\
Examples:
  # What is kept, and where
  kubectl headscale plugin cache list

  # Remove what was not used for long, and what is damaged
  kubectl headscale plugin cache prune

  # Remove everything
  kubectl headscale plugin cache prune --all";

/// Look after the plugins that are kept
///
/// Kept are what was pulled from registries, and what was compiled. Both can be made again.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what is kept, and where
    List {
        /// Format
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: AnswerFormat,
    },
    /// Remove what is damaged or left over, and of compiled plugins those beyond 512 MiB
    Prune {
        /// Remove everything
        #[arg(long)]
        all: bool,
    },
}

impl CacheArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let cache = cache(context.environment)?;
        match self.command {
            Command::List { output } => list(cache, output, context),
            Command::Prune { all } => remove(cache, all, context),
        }
    }
}

fn list(
    cache: &Path,
    output: AnswerFormat,
    context: &mut Context<'_>,
) -> Result<Exit, CommandError> {
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (what, dir) in [("pulled", pulled(cache)), ("compiled", compiled(cache))] {
        let (files, bytes) = size(&dir).map_err(|error| {
            CommandError::usage(format!("cannot read {}: {}", dir.display(), io_words(&error)))
        })?;
        let shown = dir.display().to_string();
        rows.push([what.to_owned(), files.to_string(), bytes.to_string(), shown.clone()]);
        values.push(json!({"kind": what, "files": files, "bytes": bytes, "directory": shown}));
    }
    let text = match output.data() {
        Some(format) => format.render(&json!({"version": 1, "caches": values}))?,
        None => table(&["KIND", "FILES", "BYTES", "DIRECTORY"].map(str::to_owned), &rows),
    };
    context.ui.print(&text)?;
    Ok(Exit::Success)
}

/// How many files there are under `dir`, and how many bytes they have. No directory has none.
fn size(dir: &Path) -> io::Result<(u64, u64)> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(error) => return Err(error),
    };
    let (mut files, mut bytes) = (0, 0);
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            let (more_files, more_bytes) = size(&entry.path())?;
            files += more_files;
            bytes += more_bytes;
        } else {
            files += 1;
            bytes += metadata.len();
        }
    }
    Ok((files, bytes))
}

fn remove(cache: &Path, all: bool, context: &mut Context<'_>) -> Result<Exit, CommandError> {
    let dir = compiled(cache);
    let most = if all { 0 } else { CACHE_BYTES };
    let compiled = prune(&dir, most).map_err(|error| {
        CommandError::usage(format!("cannot clear {}: {}", dir.display(), io_words(&error)))
    })?;
    let dir = pulled(cache);
    let pulled = if dir.is_dir() {
        let store = Store::open(dir).map_err(|error| store_error(&error))?;
        store.prune(SystemTime::now(), |_| !all).map_err(|error| store_error(&error))?
    } else {
        headscale_policy_registry::Pruned::default()
    };
    let bytes = pulled.bytes + compiled.bytes;
    context.ui.note(&format!(
        "removed {} pulled and {} compiled plugins, {bytes} bytes",
        pulled.plugins, compiled.components
    ));
    Ok(Exit::Success)
}
