//! `kubectl headscale get`

mod format;
mod list;
mod table;
mod watch;

use clap::Args;
use clap_complete::ArgValueCompleter;

use self::format::Format;
use self::list::{Listed, Query};
use self::table::{Printer, Shown};
use super::targets::{Target, targets};
use super::{Context, names};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{Cluster, ConnectionArgs, OPTIONS_HELP, block_on};

const EXAMPLES: &str = "\
Examples:
  # List the instances of the namespace
  kubectl headscale get instances

  # List the users of all namespaces, with more columns
  kubectl headscale get users -A -o wide

  # Show one pre-auth key as YAML
  kubectl headscale get preauthkey laptop -o yaml

  # Show two objects of different kinds
  kubectl headscale get user/alice policy/main

  # Watch an instance until Ctrl-C
  kubectl headscale get instance main --watch";

/// List instances, users, pre-auth keys, policies and auto approvers
///
/// Prints the same as `kubectl get` of `headscales`, `headscaleusers`, `headscalepreauthkeys`,
/// `headscalepolicies` and `headscaleautoapprovers`, by names that are easier to type. `all` means
/// all five. kubectl has more formats, such as jsonpath.
#[derive(Debug, Args)]
#[command(after_help = OPTIONS_HELP, after_long_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// Kind and names, or KIND/NAME; `instances`, `users`, `preauthkeys`, `policies`,
    /// `autoapprovers`, `all`, and kubectl's names
    #[arg(required = true, value_name = "KIND [NAME]", add = ArgValueCompleter::new(names::object))]
    objects: Vec<String>,
    /// Format: table, wide, json, yaml or name [default: table]
    #[arg(short, long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    output: String,
    /// Select by labels: `key=value`, `key!=value`, `key`, with commas between them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Select by fields, such as `metadata.name=alice`
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// List the objects of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Print the objects, then each change of them, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// Print each change, without the objects as they are now
    #[arg(long)]
    watch_only: bool,
    /// Leave out the line of headers
    #[arg(long)]
    no_headers: bool,
    /// Show all labels as the last column
    #[arg(long)]
    show_labels: bool,
    /// Show a column for each of these labels
    #[arg(short = 'L', long, value_name = "LABEL", value_delimiter = ',')]
    label_columns: Vec<String>,
    /// Put the kind before names
    #[arg(long)]
    show_kind: bool,
    /// In JSON and YAML, keep the managedFields
    #[arg(long)]
    show_managed_fields: bool,
    /// Say nothing of names that are not there
    #[arg(long)]
    ignore_not_found: bool,
    /// Objects per request; 0 for all in one
    #[arg(long, value_name = "N", default_value_t = 500)]
    chunk_size: u32,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl GetArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let format = Format::parse(&self.output)?;
        let targets = targets(&self.objects)?;
        self.check(&targets)?;
        block_on(async {
            let cluster = self.connection.connect(context.environment).await?;
            let run = Run { args: &self, cluster, format };
            if self.watch || self.watch_only {
                run.watch(&targets, context).await
            } else {
                run.get(&targets, context).await
            }
        })
    }

    fn check(&self, targets: &[Target]) -> Result<(), CommandError> {
        let named = targets.iter().any(|target| !target.names.is_empty());
        let message = if named && self.all_namespaces {
            "a resource cannot be retrieved by name across all namespaces"
        } else if named && (self.selector.is_some() || self.field_selector.is_some()) {
            "name cannot be provided when a selector is specified"
        } else {
            return Ok(());
        };
        Err(CommandError::failed(message))
    }
}

/// A run of the command.
struct Run<'a> {
    args: &'a GetArgs,
    cluster: Cluster,
    format: Format,
}

impl Run<'_> {
    async fn get(
        &self,
        targets: &[Target],
        context: &mut Context<'_>,
    ) -> Result<Exit, CommandError> {
        let (listed, errors) = self.fetch(targets).await?;
        let printed = match self.format {
            Format::Table | Format::Wide => self.tables(targets, listed, context)?,
            format => {
                let text = format.objects(listed, self.args.show_managed_fields, targets)?;
                context.ui.print(&text)?;
                true
            }
        };
        if !printed && errors.is_empty() && !self.args.ignore_not_found {
            context.ui.tell(&self.nothing());
        }
        let mut hints = Vec::new();
        let failed = !errors.is_empty();
        for mut error in errors {
            // The same advice for each of several kinds is said once.
            error.hints.retain(|hint| !hints.contains(hint));
            hints.extend(error.hints.iter().cloned());
            context.ui.error(&error);
        }
        Ok(if failed { Exit::FAILED } else { Exit::Success })
    }

    /// What the targets are, in their order, and what went wrong with some of them.
    async fn fetch(
        &self,
        targets: &[Target],
    ) -> Result<(Vec<Vec<Listed>>, Vec<CommandError>), CommandError> {
        let (mut listed, mut errors) = (Vec::new(), Vec::new());
        for target in targets {
            let query = self.query(target, &self.shown(target, targets));
            let mut of_target = Vec::new();
            if target.names.is_empty() {
                match query.list(&self.cluster).await {
                    Ok(pages) => of_target = pages,
                    Err(error) => errors.push(self.cluster.resource_error(error, target.resource)),
                }
            }
            for name in &target.names {
                match query.get(&self.cluster, name).await {
                    Ok(object) => of_target.push(object),
                    Err(kube::Error::Api(status))
                        if self.args.ignore_not_found && status.is_not_found() => {}
                    Err(error) => errors.push(self.cluster.resource_error(error, target.resource)),
                }
            }
            listed.push(of_target);
        }
        Ok((listed, errors))
    }

    /// Prints tables, with an empty line between those of different kinds; says whether anything
    /// was printed.
    fn tables(
        &self,
        targets: &[Target],
        listed: Vec<Vec<Listed>>,
        context: &mut Context<'_>,
    ) -> Result<bool, CommandError> {
        let mut printed = false;
        for (target, pages) in targets.iter().zip(listed) {
            let tables = pages.into_iter().filter_map(Listed::table).collect();
            let text = Printer::new(self.shown(target, targets)).print(tables);
            if printed && !text.is_empty() && !self.args.no_headers {
                context.ui.print("\n")?;
            }
            printed |= !text.is_empty();
            context.ui.print(&text)?;
        }
        Ok(printed)
    }

    fn query<'q>(&'q self, target: &'q Target, shown: &Shown) -> Query<'q> {
        let namespace = (!self.args.all_namespaces).then_some(self.cluster.namespace.as_str());
        Query {
            resource: target.resource,
            namespace,
            labels: self.args.selector.clone(),
            fields: self.args.field_selector.clone(),
            chunk: self.args.chunk_size,
            table: matches!(self.format, Format::Table | Format::Wide),
            metadata: shown.needs_metadata(),
        }
    }

    fn shown(&self, target: &Target, targets: &[Target]) -> Shown {
        let prefixed = self.args.show_kind || targets.len() > 1;
        Shown {
            wide: self.format == Format::Wide,
            no_headers: self.args.no_headers,
            namespaces: self.args.all_namespaces,
            labels: self.args.show_labels,
            label_columns: self.args.label_columns.clone(),
            prefix: if prefixed { target.resource.qualified() + "/" } else { String::new() },
        }
    }

    fn nothing(&self) -> String {
        if self.args.all_namespaces {
            return "No resources found\n".to_owned();
        }
        format!("No resources found in {} namespace.\n", self.cluster.namespace)
    }
}
