//! Starts everything, and ends it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser,
};
use headscale_service::http_server::{HttpServer, Page};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::applier;
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::Reporter;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt as _};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::cli::Args;
use crate::context::{Context, Settings, Triggers};
use crate::events::Events;
use crate::instance::{Clock, Instances};
use crate::kubernetes::{self, ConnectionError, KubernetesError};
use crate::lanes::{Lanes, OfHeadscale};
use crate::lease::{Elector, Timing};
use crate::metrics::Metrics;
use crate::names::FIELD_MANAGER;
use crate::objects::Managed;
use crate::pause;
use crate::user::Next;
use crate::{headscale, policy, poll, pre_auth_key, reissue, user};

/// How long what is being done may take when the operator is to end.
const LAST_STEPS: Duration = Duration::from_secs(20);

/// Why the operator ended.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// There is no way to the API server.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Health or metrics cannot be served.
    #[error("cannot listen at {address}: {error}; choose another address for {flag}")]
    Listen {
        /// Where.
        address: String,
        /// By which flag.
        flag: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    /// Another operator may be at work.
    #[error("another operator may be at work: ending")]
    LeaseLost,
}

/// Runs until a signal comes.
pub(crate) async fn run(args: Args) -> Result<(), Error> {
    // First of all: the first process of a container has no other way to be ended.
    let mut term = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut int = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("a signal asks to end");
        stop.send_replace(true);
        // Whoever waits for it must not take its end for it.
        std::future::pending::<()>().await;
    });
    let metrics = Metrics::default();
    serve(&args, &metrics).await?;
    let client = kubernetes::client(&args.connection, None).await?;
    let identity = identity(&args.pod_name);
    let mut elector = args.leader_elect.then(|| {
        let namespace = args.lease_namespace.clone().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        Elector::new(client.clone(), &namespace, &identity, Timing::default())
    });
    if let Some(elector) = &mut elector {
        tokio::select! {
            () = elector.acquire() => tracing::info!(identity, "at work"),
            () = until(stopped.clone()) => return Ok(()),
        }
    }
    metrics.leads(true);
    let work = work(&args, client, &identity, metrics.clone(), stopped);
    let done = match &mut elector {
        None => {
            work.await;
            Ok(())
        }
        Some(elector) => tokio::select! {
            // Whether it still holds the Lease comes first: a process that was stopped and goes on
            // must not take one more step, which others took meanwhile.
            biased;
            () = elector.keep() => Err(Error::LeaseLost),
            () = work => Ok(()),
        },
    };
    metrics.leads(false);
    if let (Some(elector), Ok(())) = (&elector, &done) {
        elector.release().await;
    }
    done
}

/// A name that no other process has.
fn identity(pod_name: &str) -> String {
    let name = kubernetes::pod_name(pod_name);
    format!("{name}_{:08x}", getrandom::u32().unwrap_or_else(|_| std::process::id()))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // It fails when the sender is gone, which is never.
    stopped.wait_for(|stopped| *stopped).await.ok();
}

/// Serves health and metrics, where that is asked for.
async fn serve(args: &Args, metrics: &Metrics) -> Result<(), Error> {
    let addresses = [
        (&args.health_probe_bind_address, "--health-probe-bind-address"),
        (&args.metrics_bind_address, "--metrics-bind-address"),
    ];
    for (address, flag) in addresses {
        let Some(candidates) = &address.0 else { continue };
        let server = bind(candidates).await.map_err(|error| Error::Listen {
            address: address.to_string(),
            flag,
            error,
        })?;
        let is_metrics = flag == "--metrics-bind-address";
        if let Ok(address) = server.address() {
            let what = if is_metrics { "/metrics" } else { "/healthz and /readyz" };
            tracing::info!(%address, "serving {what}");
        }
        let metrics = metrics.clone();
        tokio::spawn(server.serve(move |path| match path {
            "/healthz" | "/readyz" if !is_metrics => Some(Page::health(true, "ok")),
            "/metrics" if is_metrics => Some(Page::metrics(metrics.encode())),
            _ => None,
        }));
    }
    Ok(())
}

async fn bind(candidates: &[SocketAddr]) -> std::io::Result<HttpServer> {
    let mut failure = std::io::Error::other("no address");
    for address in candidates {
        match HttpServer::bind(*address).await {
            Ok(server) => return Ok(server),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Looks after all namespaces, or those that were named, until it is stopped.
async fn work(
    args: &Args,
    client: Client,
    identity: &str,
    metrics: Metrics,
    stopped: watch::Receiver<bool>,
) {
    let clock = Clock::default();
    let resolve = args.resolve.iter().cloned().collect();
    let instances = Instances::new(client.clone(), resolve, clock, metrics.clone());
    let reporter =
        Reporter { controller: FIELD_MANAGER.to_owned(), instance: Some(identity.to_owned()) };
    let recorder = Arc::new(Events::new(client.clone(), reporter));
    let desk = policy::Desk::new(&args.plugin_cache(), args.plugin_timeout);
    let settings = Settings {
        deletion_patience: args.deletion_patience,
        resync: args.resync,
        check_interval: args.check_interval,
        send_deadline: args.send_deadline,
        in_flight: args.in_flight,
        sidecar_image: args.sidecar_image.clone(),
        progress_deadline: args.progress_deadline,
        reissue_interval: args.reissue_interval,
        identity: identity.to_owned(),
        alone: args.leader_elect,
    };
    let scopes: Vec<Option<String>> = match args.namespaces.as_slice() {
        [] => vec![None],
        namespaces => namespaces.iter().cloned().map(Some).collect(),
    };
    let scopes = scopes.into_iter().map(|namespace| {
        let (headscales, headscales_queue) = unbounded_channel();
        let (documents, documents_queue) = unbounded_channel();
        let (policies, policies_queue) = unbounded_channel();
        let (approvers, approvers_queue) = unbounded_channel();
        let (nodes, nodes_queue) = unbounded_channel();
        let (users, users_queue) = unbounded_channel();
        let (keys, keys_queue) = unbounded_channel();
        let (stores, writers) = crate::watch::stores();
        let context = Arc::new(Context {
            client: client.clone(),
            instances: instances.clone(),
            metrics: metrics.clone(),
            clock,
            recorder: Arc::clone(&recorder),
            settings: settings.clone(),
            stores: stores.clone(),
            triggers: Triggers { headscales, documents, policies, approvers, nodes, users, keys },
            secrets: crate::headscale::secrets::Secrets::default(),
            memories: std::sync::Mutex::new(HashMap::new()),
            lanes: Lanes::default(),
            desk: desk.clone(),
        });
        let stopped = stopped.clone();
        async move {
            let watching = crate::watch::watch(Arc::clone(&context), namespace.clone(), writers);
            let working = async {
                tokio::select! {
                    () = stores.wait_until_ready() => {}
                    () = until(stopped.clone()) => return,
                }
                tracing::info!(namespace, "looking after what is declared");
                let controllers = async {
                    tokio::join!(
                        control(
                            Headscale::KIND,
                            &context,
                            headscales_queue,
                            stores.headscales.clone(),
                            &stopped,
                            look_at_headscale,
                        ),
                        control(
                            "Document",
                            &context,
                            documents_queue,
                            stores.headscales.clone(),
                            &stopped,
                            look_at_document,
                        ),
                        control(
                            HeadscalePolicy::KIND,
                            &context,
                            policies_queue,
                            stores.policies.clone(),
                            &stopped,
                            look_at_policy,
                        ),
                        control(
                            HeadscaleAutoApprover::KIND,
                            &context,
                            approvers_queue,
                            stores.approvers.clone(),
                            &stopped,
                            look_at_approver,
                        ),
                        control(
                            HeadscaleUser::KIND,
                            &context,
                            users_queue,
                            stores.users.clone(),
                            &stopped,
                            look_at_user,
                        ),
                        control(
                            HeadscalePreAuthKey::KIND,
                            &context,
                            keys_queue,
                            stores.keys.clone(),
                            &stopped,
                            look_at_key,
                        ),
                        control(
                            "Node",
                            &context,
                            nodes_queue,
                            stores.nodes.clone(),
                            &stopped,
                            look_at_node,
                        ),
                    )
                };
                tokio::select! {
                    _ = controllers => {}
                    () = poll::poll(Arc::clone(&context)) => {}
                    () = too_long(stopped.clone()) => tracing::warn!("ending amid steps"),
                }
            };
            tokio::select! { () = watching => {}, () = working => {} }
        }
    });
    futures_util::future::join_all(scopes).await;
}

async fn too_long(stopped: watch::Receiver<bool>) {
    until(stopped).await;
    tokio::time::sleep(LAST_STEPS).await;
}

async fn look_at_headscale(
    object: Arc<Headscale>,
    context: Arc<Context>,
) -> Result<Next, KubernetesError> {
    headscale::reconcile(&context, &object).await
}

async fn look_at_document(
    object: Arc<Headscale>,
    context: Arc<Context>,
) -> Result<Next, KubernetesError> {
    policy::reconcile(&context, &object).await
}

async fn look_at_policy(
    object: Arc<HeadscalePolicy>,
    context: Arc<Context>,
) -> Result<Next, KubernetesError> {
    policy::reconcile_policy(&context, &object).await
}

async fn look_at_approver(
    object: Arc<HeadscaleAutoApprover>,
    context: Arc<Context>,
) -> Result<Next, KubernetesError> {
    policy::reconcile_approver(&context, &object).await
}

async fn look_at_node(
    object: Arc<PartialObjectMeta<Secret>>,
    context: Arc<Context>,
) -> Result<Next, KubernetesError> {
    reissue::reconcile(&context, &object).await
}

async fn look_at_user(
    object: Arc<HeadscaleUser>,
    context: Arc<Context>,
) -> Result<Next, KubernetesError> {
    user::reconcile(&context, &object).await
}

async fn look_at_key(
    object: Arc<HeadscalePreAuthKey>,
    context: Arc<Context>,
) -> Result<Next, KubernetesError> {
    pre_auth_key::reconcile(&context, &object).await
}

/// Looks at the objects of the queue, and again at each when that is due.
async fn control<K, F>(
    kind: &'static str,
    context: &Arc<Context>,
    mut queue: UnboundedReceiver<ObjectRef<K>>,
    store: Store<K>,
    stopped: &watch::Receiver<bool>,
    look: impl Fn(Arc<K>, Arc<Context>) -> F + Clone,
) where
    K: Resource<DynamicType = ()> + OfHeadscale + Clone + 'static,
    ObjectRef<K>: std::fmt::Debug + std::fmt::Display + Send + 'static,
    F: Future<Output = Result<Next, KubernetesError>> + Send,
{
    let requests = stream::poll_fn(move |poll| queue.poll_recv(poll)).map(Ok::<_, Infallible>);
    let requests = requests.take_until(until(stopped.clone()).boxed());
    let newest = store.clone();
    let reconcile = move |object: Arc<K>, context: Arc<Context>| {
        let (look, newest) = (look.clone(), newest.clone());
        Box::pin(async move {
            let namespace = object.namespace().unwrap_or_default();
            let _turn = context.lanes.turn(kind, namespace, object.headscale()).await;
            // It may be another one by now.
            let Some(object) = newest.get(&ObjectRef::from_obj(&*object)) else {
                return Ok(Action::await_change());
            };
            let began = context.clock.now();
            // In a place of its own: those that wait for their turn take none of it.
            let next = Box::pin(look(Arc::clone(&object), Arc::clone(&context))).await;
            let action = after(kind, &context, &*object, &next);
            let took = context.clock.now().saturating_sub(began);
            context.metrics.reconciled(kind, action.1, took);
            Ok::<_, Infallible>(action.0)
        })
    };
    let never = |_: Arc<K>, _: &Infallible, _: Arc<Context>| Action::await_change();
    // Lanes are what bounds it.
    let config = Config::default().concurrency(0);
    let done = applier(reconcile, never, Arc::clone(context), store, requests, config);
    // What is not there any more when its turn comes is no failure.
    done.for_each(|_| std::future::ready(())).await;
}

/// When to look again, and how the look ended.
fn after<K: Resource>(
    kind: &'static str,
    context: &Context,
    object: &K,
    next: &Result<Next, KubernetesError>,
) -> (Action, &'static str) {
    let uid = object.uid().unwrap_or_default();
    let (is_failure, result) = match next {
        Err(error) if error.is_conflict() => (true, "conflict"),
        Err(_) => (true, "error"),
        Ok(Next::Failed) => (true, "waiting"),
        Ok(_) => (false, "ok"),
    };
    if let Err(error) = next {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        if error.is_conflict() {
            tracing::debug!(kind, namespace, name, "{error}");
        } else {
            tracing::warn!(kind, namespace, name, "{error}");
        }
    }
    let failures = match next {
        Ok(Next::Never) => return (Action::await_change(), result),
        _ => context.memory(&uid, |memory| {
            memory.failures = if is_failure { memory.failures.saturating_add(1) } else { 0 };
            memory.failures
        }),
    };
    let resync = pause::jittered(context.settings.resync);
    let pause = match next {
        Ok(Next::After(pause)) => (*pause).min(resync),
        Ok(_) if !is_failure => resync,
        _ => pause::after_failures(failures).min(resync),
    };
    (Action::requeue(pause), result)
}
