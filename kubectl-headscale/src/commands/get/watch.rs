//! `get --watch`

use std::io::{self, ErrorKind, Write as _};

use futures_util::StreamExt as _;
use kube::core::WatchEvent;
use serde_json::Value;

use super::super::Context;
use super::super::targets::Target;
use super::Run;
use super::format::Format;
use super::list::Listed;
use super::table::{Printer, Table};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::print;

impl Run<'_> {
    /// Prints what there is and then each change, until Ctrl-C ends the process or nobody reads any
    /// more.
    pub(super) async fn watch(
        &self,
        targets: &[Target],
        context: &mut Context<'_>,
    ) -> Result<Exit, CommandError> {
        let [target] = targets else {
            return Err(CommandError::failed("you may only specify a single resource type"));
        };
        let shown = self.shown(target, targets);
        let mut query = self.query(target, &shown);
        match target.names.as_slice() {
            [] => {}
            [name] => query.fields = Some(format!("metadata.name={name}")),
            _ => {
                return Err(CommandError::failed(
                    "watch is only supported on individual resources and resource collections - \
                     more than one resource was found",
                ));
            }
        }
        let failed = |error| self.cluster.resource_error(error, target.resource);
        let mut printer = Printer::new(shown);
        let mut out = context.ui.stream();
        if let [name] = target.names.as_slice() {
            // kubectl's error where it is not there.
            query.get(&self.cluster, name).await.map_err(failed)?;
        }
        let (listed, mut version) = query.list_versioned(&self.cluster).await.map_err(failed)?;
        if !self.args.watch_only {
            let text = self.now(&mut printer, listed);
            if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                return ended(&error);
            }
        }
        loop {
            let changes = query.changes(&self.cluster, &version).await.map_err(failed)?;
            let mut changes = std::pin::pin!(changes);
            // The server ends a watch after a while.
            while let Some(change) = changes.next().await {
                let object = match change.map_err(failed)? {
                    WatchEvent::Added(object)
                    | WatchEvent::Modified(object)
                    | WatchEvent::Deleted(object) => object,
                    WatchEvent::Bookmark(_) => continue,
                    WatchEvent::Error(status) => return Err(failed(kube::Error::Api(status))),
                };
                if let Some(seen) = object.pointer("/metadata/resourceVersion") {
                    version = seen.as_str().unwrap_or(&version).to_owned();
                }
                let text = self.change(&mut printer, object)?;
                if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    return ended(&error);
                }
            }
        }
    }

    /// The text of what there is.
    fn now(&self, printer: &mut Printer, listed: Vec<Listed>) -> String {
        if matches!(self.format, Format::Table | Format::Wide) {
            return printer.print(listed.into_iter().filter_map(Listed::table).collect());
        }
        let objects = listed.into_iter().flat_map(Listed::objects);
        objects.map(|object| self.one(object)).collect()
    }

    /// The text of a change.
    fn change(&self, printer: &mut Printer, object: Value) -> Result<String, CommandError> {
        if !matches!(self.format, Format::Table | Format::Wide) {
            return Ok(self.one(object));
        }
        let table: Table = serde_json::from_value(object)
            .map_err(|error| self.cluster.error(kube::Error::SerdeError(error)))?;
        Ok(printer.print(vec![table]))
    }

    fn one(&self, object: Value) -> String {
        let object = if self.args.show_managed_fields {
            object
        } else {
            print::without_managed_fields(object)
        };
        let separator = if self.format == Format::Yaml { "---\n" } else { "" };
        format!("{separator}{}", self.format.object(&object))
    }
}

/// Nobody reads any more, which is no error.
fn ended(error: &io::Error) -> Result<Exit, CommandError> {
    if error.kind() == ErrorKind::BrokenPipe {
        return Ok(Exit::Success);
    }
    Err(CommandError::stdout(error))
}
