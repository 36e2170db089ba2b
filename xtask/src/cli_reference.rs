//! `docs/cli.md`: every command with its help.

use std::fmt::{self, Write};

use clap::Command;

const HEAD: &str = "\
<!-- Made by `cargo xtask generate` from the command line itself. Do not edit. -->

# Command line
";

/// The page for `command` and all that is below it: a heading and the help text of each, as a
/// terminal of 100 columns shows it. Hidden commands and clap's own `help` are left out.
#[must_use]
pub fn render(command: Command) -> String {
    let mut page = HEAD.to_owned();
    let mut command = command.term_width(100);
    command.build();
    // Writing to a string cannot fail.
    _ = write_command(&mut page, &mut command);
    page
}

fn write_command(page: &mut String, command: &mut Command) -> fmt::Result {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    write!(page, "\n## {name}\n\n```text\n")?;
    for line in help.trim_end().lines() {
        writeln!(page, "{}", line.trim_end())?;
    }
    page.push_str("```\n");
    command
        .get_subcommands_mut()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .try_for_each(|sub| write_command(page, sub))
}
