//! Completion of what only the cluster or the kubeconfig knows: names of objects, namespaces,
//! contexts. It takes a moment at most, and where anything is wrong there is nothing to offer.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{ArgMatches, Command, FromArgMatches as _};
use clap_complete::ArgValueCompleter;
use clap_complete::engine::CompletionCandidate;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams};

use crate::cli;
use crate::environment::Environment;
use crate::error::CommandError;
use crate::kubernetes::{Cluster, ConnectionArgs, RESOURCES, Resource, block_on, load_kubeconfig};
use crate::leading::moved;

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// More names than these help nobody who types.
const MOST: u32 = 500;

/// What stands before the word that is completed.
struct Asked {
    words: Vec<OsString>,
    environment: Environment,
}

thread_local! {
    /// Completers are functions of the last word alone, so the rest is left here for them.
    static ASKED: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// Runs `complete` where the completers of this module see the words `before` the last one, the
/// program's own name among them.
pub(super) fn asked<T>(
    before: &[OsString],
    environment: &Environment,
    complete: impl FnOnce() -> T,
) -> T {
    let asked = Asked { words: before.to_vec(), environment: environment.clone() };
    ASKED.set(Some(asked));
    let done = complete();
    ASKED.set(None);
    done
}

/// `command` and all below it, with what can be told for flags that they have in common.
pub(super) fn with_completers(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_id().as_str() {
            _ if is_instance(&arg) => arg.add(ArgValueCompleter::new(instance)),
            "headscale_user" => arg.add(ArgValueCompleter::new(user)),
            "namespace" => arg.add(ArgValueCompleter::new(namespace)),
            "context" => arg.add(ArgValueCompleter::new(context)),
            "cluster" => arg.add(ArgValueCompleter::new(kubeconfig_cluster)),
            "user" => arg.add(ArgValueCompleter::new(kubeconfig_user)),
            _ => arg,
        })
        .mut_subcommands(with_completers)
}

/// Whether `arg` is the name of an instance that is there.
fn is_instance(arg: &clap::Arg) -> bool {
    let values = arg.get_value_names().unwrap_or_default();
    arg.get_id() == "instance" || values.iter().any(|value| value == "INSTANCE")
}

/// A kind, or the name of an object of the kind that stands before it.
pub(super) fn object(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    if let Some((kind, name)) = current.split_once('/') {
        let Ok(resource) = Resource::find(kind) else { return Vec::new() };
        let names = objects(resource).into_iter().filter(|found| found.starts_with(name));
        return names.map(|name| CompletionCandidate::new(format!("{kind}/{name}"))).collect();
    }
    let given: Vec<String> = with_asked(|asked| {
        let matches = matches(asked);
        let given = matches.try_get_many::<String>("objects").ok().flatten();
        given.into_iter().flatten().cloned().collect()
    })
    .unwrap_or_default();
    match given.split_first() {
        None => kinds(current),
        Some((first, _)) if first.contains('/') => kinds(current),
        Some((kind, names)) => {
            let Ok(resource) = Resource::find(kind) else { return Vec::new() };
            let found = objects(resource).into_iter();
            candidates(found.filter(|name| !names.contains(name)), current)
        }
    }
}

fn kinds(current: &str) -> Vec<CompletionCandidate> {
    let kinds = RESOURCES
        .iter()
        .map(|resource| CompletionCandidate::new(resource.nouns).help(Some(resource.kind.into())));
    kinds.filter(|kind| kind.get_value().to_string_lossy().starts_with(current)).collect()
}

fn instance(current: &OsStr) -> Vec<CompletionCandidate> {
    of_kind("Headscale", current)
}

fn user(current: &OsStr) -> Vec<CompletionCandidate> {
    of_kind("HeadscaleUser", current)
}

fn of_kind(kind: &str, current: &OsStr) -> Vec<CompletionCandidate> {
    let names = Resource::of_kind(kind).map(objects).unwrap_or_default();
    candidates(names, &current.to_string_lossy())
}

pub(super) fn namespace(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = ask(async |cluster: Cluster| {
        let api: Api<Namespace> = Api::all(cluster.client.clone());
        Ok(api.list_metadata(&ListParams::default().limit(MOST)).await?.items)
    });
    let names = names.unwrap_or_default().into_iter().filter_map(|found| found.metadata.name);
    candidates(names, &current.to_string_lossy())
}

fn context(current: &OsStr) -> Vec<CompletionCandidate> {
    of_kubeconfig(current, |kubeconfig| {
        kubeconfig.contexts.into_iter().map(|context| context.name).collect()
    })
}

fn kubeconfig_cluster(current: &OsStr) -> Vec<CompletionCandidate> {
    of_kubeconfig(current, |kubeconfig| {
        kubeconfig.clusters.into_iter().map(|cluster| cluster.name).collect()
    })
}

fn kubeconfig_user(current: &OsStr) -> Vec<CompletionCandidate> {
    of_kubeconfig(current, |kubeconfig| {
        kubeconfig.auth_infos.into_iter().map(|user| user.name).collect()
    })
}

fn of_kubeconfig(
    current: &OsStr,
    names: impl FnOnce(kube::config::Kubeconfig) -> Vec<String>,
) -> Vec<CompletionCandidate> {
    let read = with_asked(|asked| load_kubeconfig(&connection(asked), &asked.environment).ok());
    candidates(read.flatten().map(names).unwrap_or_default(), &current.to_string_lossy())
}

/// The names of the objects of a kind.
fn objects(resource: &Resource) -> Vec<String> {
    let found = ask(async |cluster: Cluster| {
        let api: Api<DynamicObject> =
            Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource.api());
        Ok(api.list_metadata(&ListParams::default().limit(MOST)).await?.items)
    });
    found.unwrap_or_default().into_iter().filter_map(|found| found.metadata.name).collect()
}

fn candidates(names: impl IntoIterator<Item = String>, current: &str) -> Vec<CompletionCandidate> {
    let names = names.into_iter().filter(|name| name.starts_with(current));
    names.map(CompletionCandidate::new).collect()
}

/// Asks the cluster that the words before name. `None` where it does not answer in time, or
/// anything else is wrong.
fn ask<T>(question: impl AsyncFnOnce(Cluster) -> Result<T, kube::Error>) -> Option<T> {
    with_asked(|asked| {
        let answer = block_on(async {
            let connected = async {
                let args = connection(asked);
                let cluster = args.connect_quietly(&asked.environment).await?;
                let told = cluster.clone();
                question(cluster).await.map_err(|error| told.error(error))
            };
            let late = |_| CommandError::failed("no answer in time");
            tokio::time::timeout(PATIENCE, connected).await.map_err(late)?
        });
        answer.ok()
    })
    .flatten()
}

fn with_asked<T>(with: impl FnOnce(&Asked) -> T) -> Option<T> {
    ASKED.with_borrow(|asked| asked.as_ref().map(with))
}

fn connection(asked: &Asked) -> ConnectionArgs {
    ConnectionArgs::from_arg_matches(&matches(asked)).unwrap_or_default()
}

/// The words before, as the innermost command understands them.
fn matches(asked: &Asked) -> ArgMatches {
    let command = cli::command().ignore_errors(true);
    let mut matches = command.try_get_matches_from(moved(asked.words.clone())).unwrap_or_default();
    while let Some((_, inner)) = matches.remove_subcommand() {
        matches = inner;
    }
    matches
}
