//! `-o FORMAT[=FILE]`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::error::{CommandError, io_words};
use crate::replace;
use crate::report::{Format, Report, Style, UnknownFormat, reporter};
use crate::ui::Ui;

/// Where a report goes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// The format.
    pub(crate) format: Format,
    /// The file; standard output where `None`.
    pub(crate) file: Option<PathBuf>,
}

/// Why `-o` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum OutputError {
    /// Not a format.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// `FORMAT=` without a file.
    #[error("a file name is missing after `=`; for standard output leave out the `=`")]
    NoFile,
}

impl FromStr for Output {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, OutputError> {
        let (format, file) = match text.split_once('=') {
            Some((_, "" | "-")) => return Err(OutputError::NoFile),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        Ok(Self { format: format.parse()?, file })
    }
}

/// Refuses outputs that would lose one another: more than one on standard output, or two in one
/// file. `baseline` is written as well.
pub(crate) fn check(outputs: &[Output], baseline: Option<&Path>) -> Result<(), CommandError> {
    for (index, output) in outputs.iter().enumerate() {
        let again = outputs.iter().skip(index + 1).find(|other| other.file == output.file);
        match (&output.file, again) {
            (None, Some(again)) => {
                let (first, second) = (output.format, again.format);
                return Err(CommandError::usage(format!(
                    "only one report can go to standard output, not both {first} and {second}"
                ))
                .hint(format!("write one to a file: -o {second}=FILE")));
            }
            (Some(file), again) if again.is_some() || Some(file.as_path()) == baseline => {
                let message = format!("two reports would go to {}", file.display());
                return Err(CommandError::usage(message).hint("write one to another file"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses to write to a file that was read: `outputs` are files with the flags that name them,
/// `inputs` files with what they are.
pub(crate) fn not_an_input(
    outputs: &[(&str, &Path)],
    inputs: &[(String, PathBuf)],
    cwd: &Path,
) -> Result<(), CommandError> {
    for (flag, output) in outputs {
        // What is not there yet was not read.
        let Ok(target) = cwd.join(output).canonicalize() else { continue };
        let same = |input: &&(String, PathBuf)| {
            cwd.join(&input.1).canonicalize().is_ok_and(|path| path == target)
        };
        if let Some((what, _)) = inputs.iter().find(same) {
            return Err(CommandError::usage(format!("{flag} would overwrite {what}"))
                .hint("write to another file"));
        }
    }
    Ok(())
}

impl Output {
    /// Writes `report`. `cwd` is what file names are relative to.
    pub(crate) fn write(
        &self,
        report: &Report,
        cwd: &Path,
        ui: &mut Ui<'_>,
    ) -> Result<(), CommandError> {
        match &self.file {
            None => {
                let style = ui.style();
                reporter(self.format, style)
                    .report(report, ui.stdout())
                    .map_err(|error| CommandError::stdout(&error))
            }
            Some(file) => write_report(self.format, report, cwd, file),
        }
    }
}

/// Writes `report` in `format` to `file`, relative to `cwd`.
pub(crate) fn write_report(
    format: Format,
    report: &Report,
    cwd: &Path,
    file: &Path,
) -> Result<(), CommandError> {
    let mut bytes = Vec::new();
    reporter(format, Style::default())
        .report(report, &mut bytes)
        .and_then(|()| replace::write(&cwd.join(file), &bytes))
        .map_err(|error| {
            CommandError::usage(format!("cannot write {}: {}", file.display(), io_words(&error)))
        })
}
