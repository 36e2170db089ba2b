//! The one way to talk: data to standard output, all else to standard error.

use std::cell::RefCell;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::rc::Rc;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};

use crate::environment::{Environment, Streams};
use crate::error::CommandError;
use crate::report::{self, visible::visible};

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Whether to colour a stream that takes colour by itself or does not.
    pub(crate) const fn enabled(self, auto: bool) -> bool {
        match self {
            Self::Auto => auto,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Width of what is printed where there is no terminal.
pub(crate) const DEFAULT_WIDTH: usize = 100;

/// Bytes of an answer that are held back before they are written.
const STREAM_BUFFER: usize = 64 * 1024;

/// Where a command writes.
pub(crate) struct Ui<'a> {
    stdout: Stdout<'a>,
    stderr: &'a mut dyn Write,
    stdout_color: bool,
    stderr_color: bool,
    /// Columns of the terminal, where there is one.
    width: Option<usize>,
    /// Whether notes are left out.
    pub(crate) quiet: bool,
}

impl<'a> Ui<'a> {
    /// The streams of `environment`, coloured as `color` says; and standard input, which is no
    /// place to talk.
    pub(crate) fn new(
        streams: &'a mut Streams<'_>,
        environment: &Environment,
        color: ColorChoice,
    ) -> (Self, &'a mut dyn io::Read) {
        let ui = Self {
            stdout: Stdout(Rc::new(RefCell::new(Pipe {
                inner: &mut *streams.stdout,
                closed: false,
            }))),
            stderr: &mut *streams.stderr,
            stdout_color: color.enabled(environment.stdout_color),
            stderr_color: color.enabled(environment.stderr_color),
            width: environment.width,
            quiet: false,
        };
        (ui, &mut *streams.stdin)
    }

    /// Columns to print within.
    pub(crate) fn columns(&self) -> usize {
        self.width.unwrap_or(DEFAULT_WIDTH)
    }

    /// Standard output. A reader that went away is no error: what is written then is lost.
    pub(crate) fn stdout(&mut self) -> &mut dyn Write {
        &mut self.stdout
    }

    /// Writes `text` to standard output.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), CommandError> {
        let printed = self.stdout.write_all(text.as_bytes());
        printed.map_err(|error| CommandError::stdout(&error))
    }

    /// Makes sure that what was written to standard output is seen now.
    pub(crate) fn flush(&mut self) -> Result<(), CommandError> {
        self.stdout.flush().map_err(|error| CommandError::stdout(&error))
    }

    /// Standard output for an answer that is written as it is made, while the rest of this is in
    /// use. Where the reader goes away it fails with [`ErrorKind::BrokenPipe`], so that nothing more
    /// is made in vain; that is no error of the command.
    pub(crate) fn stream(&self) -> Stream<'a> {
        let open = Open(Stdout(Rc::clone(&self.stdout.0)));
        BufWriter::with_capacity(STREAM_BUFFER, open)
    }

    /// Writes `text` to standard error. With nobody to listen there, there is nobody to tell.
    pub(crate) fn tell(&mut self, text: &str) {
        self.stderr.write_all(text.as_bytes()).ok();
    }

    /// How reports look on standard output.
    pub(crate) const fn style(&self) -> report::Style {
        report::Style { color: self.stdout_color, width: self.width }
    }

    /// How reports look on standard error.
    pub(crate) const fn error_style(&self) -> report::Style {
        report::Style { color: self.stderr_color, width: self.width }
    }

    /// Tells `error` and its hints.
    pub(crate) fn error(&mut self, error: &CommandError) {
        self.labelled(&error.label, AnsiColor::Red, &error.message);
        for hint in &error.hints {
            self.labelled("hint", AnsiColor::Cyan, hint);
        }
    }

    /// Tells something that went well, or that the user may want to know.
    pub(crate) fn note(&mut self, message: &str) {
        if !self.quiet {
            self.labelled("note", AnsiColor::Green, message);
        }
    }

    /// Shows how far slow work has come, in one line of a terminal; elsewhere nothing. `None` takes
    /// the line away.
    pub(crate) fn progress(&mut self, line: Option<&str>) {
        if self.stderr_color && !self.quiet {
            self.tell(&format!("\r\x1b[K{}", line.unwrap_or_default()));
        }
    }

    /// Tells something that the user should look at.
    pub(crate) fn warning(&mut self, message: &str) {
        self.labelled("warning", AnsiColor::Yellow, message);
    }

    fn labelled(&mut self, label: &str, color: AnsiColor, message: &str) {
        if label.is_empty() {
            return self.tell(&format!("{}\n", visible(message)));
        }
        let style = if self.stderr_color {
            Style::new().bold().fg_color(Some(color.into()))
        } else {
            Style::new()
        };
        self.tell(&format!("{style}{label}:{style:#} {}\n", visible(message)));
    }
}

/// A writer whose reader may go away: from then on it takes everything and writes nothing, so that
/// `| head` ends a run with the code that it would have had.
struct Pipe<'a> {
    inner: &'a mut dyn Write,
    closed: bool,
}

impl Pipe<'_> {
    fn survive<T>(&mut self, result: io::Result<T>, closed: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(closed)
            }
            result => result,
        }
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes);
        self.survive(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.inner.flush();
        self.survive(flushed, ())
    }
}

/// Standard output, which may be written to from more than one place.
struct Stdout<'a>(Rc<RefCell<Pipe<'a>>>);

impl<'a> Stdout<'a> {
    fn with<T>(&self, write: impl FnOnce(&mut Pipe<'a>) -> io::Result<T>) -> io::Result<T> {
        let mut pipe = self.0.try_borrow_mut().map_err(io::Error::other)?;
        write(&mut pipe)
    }
}

impl Write for Stdout<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|pipe| pipe.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(Write::flush)
    }
}

/// Standard output while it is written to as an answer is made.
pub(crate) type Stream<'a> = BufWriter<Open<'a>>;

/// Standard output as long as someone reads it.
pub(crate) struct Open<'a>(Stdout<'a>);

impl Write for Open<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.with(|pipe| {
            let written = pipe.write(bytes)?;
            if pipe.closed { Err(ErrorKind::BrokenPipe.into()) } else { Ok(written) }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
