//! `kubectl headscale policy`

mod access;
mod check;
mod compile;
mod diff;
mod explain;
pub(super) mod findings;
mod fmt;
mod get;
mod graph;
mod live;
mod render;
mod rules;
mod snapshot;
mod subject;
mod test;

use std::path::PathBuf;

pub(crate) use subject::AnswerFormat;

use clap::{Args, Subcommand, ValueHint};

use super::Context;
use crate::config::{self, Config};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::{self, Place, Policy};

/// A command about policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Box<check::CheckArgs>),
    Test(Box<test::TestArgs>),
    Compile(Box<compile::CompileArgs>),
    Diff(Box<diff::DiffArgs>),
    Explain(Box<explain::ExplainArgs>),
    Access(Box<access::AccessArgs>),
    Graph(Box<graph::GraphArgs>),
    Render(render::RenderArgs),
    Fmt(fmt::FmtArgs),
    Get(Box<get::GetArgs>),
    Snapshot(Box<snapshot::SnapshotArgs>),
    Rules(rules::RulesArgs),
}

impl Command {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::Check(args) => args.run(context),
            Self::Test(args) => args.run(context),
            Self::Compile(args) => args.run(context),
            Self::Diff(args) => args.run(context),
            Self::Explain(args) => args.run(context),
            Self::Access(args) => args.run(context),
            Self::Graph(args) => args.run(context),
            Self::Render(args) => args.run(context),
            Self::Fmt(args) => args.run(context),
            Self::Get(args) => args.run(context),
            Self::Snapshot(args) => args.run(context),
            Self::Rules(args) => args.run(context),
        }
    }
}

/// Which policies a command is about.
#[derive(Debug, Args)]
struct InputArgs {
    /// Policy files, directories of them, or `-` for standard input
    ///
    /// A directory means the *.hujson files directly in it, the *.json files that have a section
    /// of a policy, such as "acls", and the *.yaml files with Kubernetes objects that hold one: a
    /// HeadscalePolicy, a Headscale or a ConfigMap. Without FILE: `files` of
    /// .headscale-policy.yaml.
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    from: FromArgs,
}

/// How standard input is shown, and which configuration counts.
#[derive(Debug, Args)]
struct FromArgs {
    /// Name to show for standard input
    #[arg(long, value_name = "NAME", default_value = "<stdin>", hide_default_value = true)]
    stdin_filename: String,

    /// Configuration to use instead of the nearest .headscale-policy.yaml
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Use no configuration
    #[arg(long, conflicts_with = "config")]
    no_config: bool,
}

impl FromArgs {
    /// The configuration that counts; an empty one where there is none.
    fn config(&self, context: &Context<'_>) -> Result<Config, CommandError> {
        if self.no_config {
            return Ok(Config::default());
        }
        let config = Config::find(&context.environment.cwd, self.config.as_deref())?;
        Ok(config.unwrap_or_default())
    }
}

impl InputArgs {
    /// The configuration that counts; an empty one where there is none.
    fn config(&self, context: &Context<'_>) -> Result<Config, CommandError> {
        self.from.config(context)
    }

    /// The configuration, where it is needed to know the files.
    fn config_for_files(&self, context: &Context<'_>) -> Result<Config, CommandError> {
        if self.files.is_empty() { self.config(context) } else { Ok(Config::default()) }
    }

    /// Where the policies stand: the arguments, or the files of `config`.
    fn places(&self, command: &str, config: &Config) -> Result<Places, CommandError> {
        if !self.files.is_empty() {
            let place = |file: &PathBuf| match file.to_str() {
                Some("-") => Place::Stdin(self.from.stdin_filename.clone()),
                _ => Place::Path(file.clone()),
            };
            return Ok(Places { places: self.files.iter().map(place).collect(), listed_in: None });
        }
        if !config.files.is_empty() {
            return Ok(Places {
                places: config.files.iter().cloned().map(Place::Path).collect(),
                listed_in: config.file.clone(),
            });
        }
        let hint = format!(
            "name files, a directory or `-` for standard input, as in \
             `kubectl headscale policy {command} policy.hujson`, or list them under `files` in {}",
            config::NAME
        );
        Err(CommandError::usage("no policy given").hint(hint))
    }
}

/// Where the policies of a run stand.
struct Places {
    places: Vec<Place>,
    /// The configuration that lists them, if it is not the arguments that do.
    listed_in: Option<PathBuf>,
}

impl Places {
    /// Whether standard input is among them.
    fn have_stdin(&self) -> bool {
        let mut places = self.places.iter();
        places.any(|place| matches!(place, Place::Stdin(_)))
    }

    /// Reads the policies. Returns those that could be read, and whether all could; what could not
    /// is told.
    fn read(&self, context: &mut Context<'_>) -> (Vec<Policy>, Exit) {
        let mut exit = Exit::Success;
        let ui = &mut context.ui;
        let cwd = &context.environment.cwd;
        let policies = input::read(&self.places, cwd, context.stdin, |error| {
            let error = CommandError::from(error);
            let error = match &self.listed_in {
                Some(config) => CommandError {
                    hints: vec![format!("it is listed under `files` in {}", config.display())],
                    ..error
                },
                None => error,
            };
            ui.error(&error);
            exit = exit.max(error.exit);
        });
        (policies, exit)
    }
}
