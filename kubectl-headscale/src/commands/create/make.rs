//! Makes an object: prints it, or sends it and waits for it.

use std::cell::Cell;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::draft::{Draft, DraftArgs};
use super::print::{DryRun, ObjectFormat};
use super::wait::{Waiter, timeout};
use super::{chosen, request};
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{
    Cluster, ConnectionArgs, FIELD_MANAGER, Interrupted, block_on, interruptible, print,
};

/// What all commands that make an object take.
#[derive(Debug, Default, Args)]
pub(crate) struct MakeArgs {
    #[command(flatten)]
    pub(super) draft: DraftArgs,

    /// Only try: `client` prints what would be made and asks nobody, `server` has the server judge
    /// it
    #[arg(long, value_name = "WHERE", default_value = "none")]
    pub(super) dry_run: DryRun,

    /// Print the object instead of a line about it
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) output: Option<ObjectFormat>,

    /// Name under which the fields are owned
    #[arg(long, value_name = "NAME", default_value = FIELD_MANAGER)]
    pub(super) field_manager: String,

    /// Wait until the object is ready, and tell how far it has come
    #[arg(long)]
    pub(super) wait: bool,

    /// How long to wait; 0 looks once, a negative one waits for a week
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5m",
        value_parser = timeout,
        allow_hyphen_values = true
    )]
    pub(super) timeout: Duration,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// How far a run has come, for someone who interrupts it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Before,
    Sent,
    Made,
}

impl MakeArgs {
    /// Whether the cluster must not be asked.
    pub(super) fn is_offline(&self) -> bool {
        self.dry_run == DryRun::Client
    }

    /// Makes the object of `draft`.
    pub(super) fn make(
        &self,
        mut draft: Draft,
        context: &mut Context<'_>,
    ) -> Result<Exit, CommandError> {
        let needs_instance = draft.resource.noun != "instance" && !draft.has("/spec/headscaleRef");
        if self.is_offline() {
            if needs_instance {
                return Err(CommandError::usage(
                    "which instance? --dry-run=client asks no cluster for the one that is there",
                )
                .hint("--instance names it"));
            }
            draft.check()?;
            if let Some(namespace) = &self.connection.namespace {
                self.set_namespace(&mut draft, namespace, true)?;
            }
            self.print(&draft, draft.object.clone(), context)?;
            return Ok(Exit::Success);
        }
        if !needs_instance {
            draft.check()?;
        }
        block_on(async {
            let cluster = self.connection.connect(context.environment).await?;
            let namespace =
                self.set_namespace(&mut draft, &cluster.namespace, cluster.namespace_given)?;
            if needs_instance {
                let instance = chosen::instance(&cluster, &namespace).await?;
                draft.put("spec.headscaleRef", instance);
                draft.check()?;
            }
            let stage = Cell::new(Stage::Before);
            let mut waiter = Waiter::new(&cluster, draft.resource, &namespace, draft.name());
            let sent = self.send(&draft, &cluster, &namespace, &stage, &mut waiter, context);
            match interruptible(sent).await {
                Ok(result) => result,
                Err(Interrupted) => {
                    context.ui.progress(None);
                    Err(interrupted(&draft, &namespace, stage.get(), waiter.why()))
                }
            }
        })
    }

    async fn send(
        &self,
        draft: &Draft,
        cluster: &Cluster,
        namespace: &str,
        stage: &Cell<Stage>,
        waiter: &mut Waiter<'_>,
        context: &mut Context<'_>,
    ) -> Result<Exit, CommandError> {
        let is_dry_run = self.dry_run == DryRun::Server;
        stage.set(Stage::Sent);
        let resource = draft.resource;
        let object = &draft.object;
        let made =
            request::create(cluster, resource, namespace, object, &self.field_manager, is_dry_run)
                .await?;
        stage.set(Stage::Made);
        self.print(draft, made, context)?;
        if is_dry_run {
            return Ok(Exit::Success);
        }
        if self.wait {
            // Who reads along should see at once that it is made.
            context.ui.stdout().flush().map_err(|error| CommandError::stdout(&error))?;
            waiter.wait(self.timeout, &mut context.ui).await?;
            if self.output.is_none() {
                let line = format!("{}/{} condition met\n", resource.qualified(), draft.name());
                context.ui.print(&line)?;
            }
        }
        if let Some(note) = secret_note(draft, namespace, self.wait) {
            context.ui.note(&note);
        }
        Ok(Exit::Success)
    }

    /// Puts the object into the namespace that counts, which it gives.
    fn set_namespace(
        &self,
        draft: &mut Draft,
        namespace: &str,
        is_given: bool,
    ) -> Result<String, CommandError> {
        match draft.text("/metadata/namespace").map(str::to_owned) {
            Some(own) if is_given && own != namespace => Err(CommandError::failed(format!(
                "the namespace from the provided object {own:?} does not match the namespace \
                 {namespace:?}. You must pass '--namespace={own}' to perform this operation."
            ))),
            Some(own) => Ok(own),
            None => {
                draft.put("metadata.namespace", namespace);
                Ok(namespace.to_owned())
            }
        }
    }

    fn print(
        &self,
        draft: &Draft,
        object: Value,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let called = format!("{}/{}", draft.resource.qualified(), draft.name());
        let object = print::without_managed_fields(object);
        let text = match self.output {
            None => format!("{called} created{}\n", self.dry_run.suffix()),
            Some(ObjectFormat::Name) => format!("{called}\n"),
            Some(ObjectFormat::Json) => print::json(&object),
            Some(ObjectFormat::Yaml) => print::yaml(&object),
        };
        context.ui.print(&text)
    }
}

/// What someone who interrupts a run must know.
fn interrupted(draft: &Draft, namespace: &str, stage: Stage, why: Option<&str>) -> CommandError {
    let called = format!("{}/{}", draft.resource.qualified(), draft.name());
    let get =
        format!("`kubectl headscale get {} {} -n {namespace}`", draft.resource.noun, draft.name());
    let error = |message: String| CommandError {
        exit: Exit::Interrupted,
        ..CommandError::failed_as("interrupted", message)
    };
    match stage {
        Stage::Before => error(format!("{called} was not created")),
        Stage::Sent => error(format!("whether {called} was created is not known"))
            .hint(format!("{get} shows it if it was")),
        Stage::Made => {
            let error = error(format!("{called} was created, and was not ready yet"));
            let error = match why {
                Some(why) => error.hint(format!("it last was {why}")),
                None => error,
            };
            error.hint(format!("{get} shows how it is now"))
        }
    }
}

/// Where the secret of the object is, or will be; never what it is.
fn secret_note(draft: &Draft, namespace: &str, is_ready: bool) -> Option<String> {
    let name = draft.name();
    let (secret, key, what) = match draft.resource.noun {
        "preauthkey" => {
            (draft.text("/spec/secretName").unwrap_or(name).to_owned(), "key", "the key")
        }
        "instance" => {
            let pointers = ["/spec/api_key/auto_manage", "/spec/apiKey/autoManage"];
            let managed = pointers.iter().find_map(|pointer| draft.object.pointer(pointer));
            if managed == Some(&Value::Bool(false)) {
                return None;
            }
            let given = draft.text("/spec/api_key/secret_name");
            let given = given.or_else(|| draft.text("/spec/apiKey/secretName"));
            let secret = given.map_or_else(|| format!("{name}-api-key"), str::to_owned);
            (secret, "api-key", "its API key")
        }
        _ => return None,
    };
    let verb = if is_ready { "is" } else { "will be" };
    Some(format!(
        "{what} {verb} in the Secret {secret:?}: kubectl get secret {secret} -n {namespace} \
         -o jsonpath='{{.data.{key}}}' | base64 -d"
    ))
}
