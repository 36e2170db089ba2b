//! A whole run of the program.

use std::ffi::OsString;
use std::path::Path;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::Cli;
use crate::commands::{Context, complete};
use crate::environment::{Environment, Streams};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::leading::moved;
use crate::ui::{ColorChoice, DEFAULT_WIDTH, Ui};

/// kubectl looks for completions of a plugin under a name that starts so.
const COMPLETION_PREFIX: &str = "kubectl_complete-";

/// The command behind that name. It is none of clap's, so that no help and no script shows it.
const COMPLETE: &str = "__complete";

/// Runs the command that `args` name, the first of them being the program's own name, and returns
/// the code to exit with. Never panics on input.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let context = |streams, color| {
        let (ui, stdin) = Ui::new(streams, environment, color);
        Context { environment, stdin, ui }
    };
    if let Some(words) = to_complete(&args) {
        let mut context = context(streams, ColorChoice::Never);
        let result = complete(words.to_vec(), &mut context);
        return end(result, &mut context.ui);
    }
    match parse(args, environment) {
        Ok(cli) => {
            let mut context = context(streams, cli.color);
            let result = cli.command.run(&mut context);
            end(result, &mut context.ui)
        }
        Err(error) => {
            let mut context = context(streams, ColorChoice::Auto);
            let result = usage(&error, &mut context.ui);
            end(result, &mut context.ui)
        }
    }
}

/// The words to complete, if that is what the program was started for: under the name that kubectl
/// looks for, or with [`COMPLETE`] where there can be no second name.
fn to_complete(args: &[OsString]) -> Option<&[OsString]> {
    let (name, words) = args.split_first()?;
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str());
    if stem.is_some_and(|stem| stem.starts_with(COMPLETION_PREFIX)) {
        return Some(words);
    }
    let (first, words) = words.split_first()?;
    (first == COMPLETE).then_some(words)
}

fn parse(args: Vec<OsString>, environment: &Environment) -> Result<Cli, clap::Error> {
    let width = environment.width.unwrap_or(DEFAULT_WIDTH).min(DEFAULT_WIDTH);
    let matches = Cli::command().term_width(width).try_get_matches_from(moved(args))?;
    Cli::from_arg_matches(&matches)
}

/// Prints help where it was asked for, and what is wrong with the arguments otherwise.
fn usage(error: &clap::Error, ui: &mut Ui<'_>) -> Result<Exit, CommandError> {
    let text = error.render();
    if error.use_stderr() {
        let text = if ui.error_style().color { text.ansi().to_string() } else { text.to_string() };
        ui.tell(&text);
        return Ok(Exit::Usage);
    }
    let text = if ui.style().color { text.ansi().to_string() } else { text.to_string() };
    ui.print(&text)?;
    Ok(Exit::Success)
}

/// Tells what went wrong, and makes sure that all was written.
fn end(result: Result<Exit, CommandError>, ui: &mut Ui<'_>) -> Exit {
    let mut exit = match result {
        Ok(exit) => exit,
        Err(error) => {
            ui.error(&error);
            error.exit
        }
    };
    if let Err(error) = ui.stdout().flush() {
        let error = CommandError::stdout(&error);
        ui.error(&error);
        exit = exit.max(error.exit);
    }
    exit
}
