//! Asks before anything is changed.

use std::io::Read;

use crate::commands::Context;
use crate::error::CommandError;

/// The longest answer that is read, in bytes.
const LONGEST: usize = 1024;

/// Asks a question that is answered by yes or no, unless `is_given` says yes.
///
/// # Errors
///
/// That the answer was no, or that nobody can be asked.
pub(crate) fn ask(
    question: &str,
    is_given: bool,
    context: &mut Context<'_>,
) -> Result<(), CommandError> {
    if is_given {
        return Ok(());
    }
    if !context.environment.stdin_terminal {
        return Err(CommandError::usage(
            "standard input is no terminal, so that nobody can be asked whether this may be done",
        )
        .hint("--yes does it without asking; --dry-run=server shows what the server would say"));
    }
    context.ui.tell(&format!("{question} [y/N] "));
    match answer(context.stdin).to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::failed("nothing was changed")),
    }
}

/// Asks for a name that must be typed, unless it was given already.
///
/// # Errors
///
/// That it is another name, or that nobody can be asked.
pub(crate) fn ask_for_name(
    what: &str,
    name: &str,
    given: Option<&str>,
    context: &mut Context<'_>,
) -> Result<(), CommandError> {
    let typed = match given {
        Some(given) => given.to_owned(),
        None if context.environment.stdin_terminal => {
            context.ui.tell(&format!("This cannot be undone. Type {name} to {what}: "));
            answer(context.stdin)
        }
        None => {
            return Err(CommandError::usage(
                "standard input is no terminal, so that nobody can be asked whether data may be \
                 deleted",
            )
            .hint(format!("--confirm {name} deletes it; --yes is not enough")));
        }
    };
    if typed == name {
        return Ok(());
    }
    let wrong = format!("{typed:?} is not {name:?}: nothing was changed");
    Err(if given.is_some() { CommandError::usage(wrong) } else { CommandError::failed(wrong) })
}

/// The next line, and nothing of what follows it.
fn answer(stdin: &mut dyn Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    // Who ends the input has said no.
    while line.len() < LONGEST && matches!(stdin.read(&mut byte), Ok(1)) {
        let [next] = byte;
        if next == b'\n' {
            break;
        }
        line.push(next);
    }
    String::from_utf8_lossy(&line).trim().to_owned()
}
