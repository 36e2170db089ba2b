//! `kubectl headscale __complete`, and the same under the name `kubectl_complete-headscale`: how
//! kubectl asks a plugin what may come next.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::CommandFactory as _;
use clap_complete::engine::{self, CompletionCandidate};
use headscale_acl::{Source, Version, rules};

use super::{Context, names};
use crate::cli::{Cli, EXECUTABLE};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::leading;
use crate::plugins::built_in;
use crate::report::Format;

/// kubectl's word for "the shell has nothing to add".
const NO_FILES: u8 = 4;
/// kubectl's word for "put no space after this".
const NO_SPACE: u8 = 2;

/// Prints the candidates for the last of `words`, which follow the plugin's name, in kubectl's
/// form: `VALUE<TAB>DESCRIPTION` lines and `:DIRECTIVE`.
pub(crate) fn complete(
    mut words: Vec<OsString>,
    context: &mut Context<'_>,
) -> Result<Exit, CommandError> {
    if words.is_empty() {
        words.push(OsString::new());
    }
    // Flags are many, and are told when a word starts as one.
    let flags = words.last().is_some_and(|word| !word.is_empty());
    words.insert(0, EXECUTABLE.into());
    let cwd = context.environment.cwd.as_path();
    let last = words.len() - 1;
    let before = words.get(..last).unwrap_or_default().to_vec();
    let word = words.split_off(last);
    let (mut words, _) = leading::split(words);
    let last = words.len();
    words.extend(word);
    let mut command = names::with_completers(Cli::command());
    // Completion has no way to tell an error, and a guess is better than noise.
    let candidates = names::asked(&before, context.environment, || {
        engine::complete(&mut command, words, last, Some(cwd)).unwrap_or_default()
    });
    let mut text = String::new();
    let mut directories = false;
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        let Some(value) = candidate.get_value().to_str() else {
            continue;
        };
        if !flags && value.starts_with('-') {
            continue;
        }
        directories |= value.ends_with(['/', '=']);
        text.push_str(value);
        if let Some(help) = candidate.get_help() {
            let help = help.to_string();
            let first = help.lines().next().unwrap_or_default();
            // Writing to a String cannot fail.
            _ = write!(text, "\t{first}");
        }
        text.push('\n');
    }
    let directive = if directories { NO_FILES | NO_SPACE } else { NO_FILES };
    _ = writeln!(text, ":{directive}");
    context.ui.print(&text)?;
    Ok(Exit::Success)
}

/// The Headscale versions.
pub(super) fn versions() -> Vec<CompletionCandidate> {
    let versions = Version::ALL.iter();
    versions.map(|version| CompletionCandidate::new(version.as_str())).collect()
}

/// The plugins that come with the program.
pub(super) fn plugins() -> Vec<CompletionCandidate> {
    built_in().map(|plugin| CompletionCandidate::new(plugin.to_string())).collect()
}

/// The formats of findings.
pub(super) fn formats() -> Vec<CompletionCandidate> {
    let formats = Format::ALL.iter();
    formats.map(|format| CompletionCandidate::new(format.to_string())).collect()
}

/// The ids of all rules.
pub(super) fn all_rules() -> Vec<CompletionCandidate> {
    rules::all()
        .map(|rule| CompletionCandidate::new(rule.id).help(Some(rule.summary.into())))
        .collect()
}

/// `ID=LEVEL` for the rules whose severity can be set.
pub(super) fn changeable_rules() -> Vec<CompletionCandidate> {
    let rules = rules::all().filter(|rule| rule.source != Source::Headscale);
    rules
        .flat_map(|rule| {
            let levels = ["off", "info", "warning", "error"];
            levels.map(|level| {
                CompletionCandidate::new(format!("{}={level}", rule.id))
                    .help(Some(rule.summary.into()))
            })
        })
        .collect()
}
