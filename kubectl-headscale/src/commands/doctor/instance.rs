//! Whether an instance works: its pod, its configuration and its policy.

use headscale_acl::{Counts, Options, Severity, check};
use headscale_api::desired::{Inputs, Names, findings, release};
use headscale_api::kinds::{ConfigMapKeyRef, Headscale, HeadscalePolicy, names};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams};
use serde_json::Value;

use super::report::{Report, State};
use crate::environment::Environment;
use crate::error::CommandError;
use crate::kubernetes::Cluster;

/// Looks at `headscale`, which is called `name`. Gives whether it has a pod that is ready.
pub(super) async fn look(
    cluster: &Cluster,
    name: &str,
    headscale: &Headscale,
    environment: &Environment,
    report: &mut Report,
) -> Result<bool, CommandError> {
    report.begin(format!("instance {name}"));
    let namespace = &cluster.namespace;
    let url = headscale.spec.config.as_ref().and_then(|config| config.get("server_url"));
    let url = url.and_then(Value::as_str).unwrap_or("no address");
    report.ok("instance-exists", format!("Headscale {} at {url}", headscale.spec.version));
    let annotations = headscale.metadata.annotations.iter().flatten();
    if annotations
        .into_iter()
        .any(|(key, value)| key == names::PAUSED_ANNOTATION && value == "true")
    {
        report.warning(
            "instance-paused",
            "it is paused: nobody looks after it",
            format!(
                "`kubectl annotate headscale {name} {}- -n {namespace}` goes on",
                names::PAUSED_ANNOTATION
            ),
        );
    }
    conditions(headscale, name, namespace, report);
    let is_ready = stateful_set(cluster, name, headscale, report).await?;
    config(name, headscale, namespace, report);
    policy(cluster, name, headscale, environment, report).await?;
    Ok(is_ready)
}

/// The condition `Ready`, which an operator writes.
fn conditions(headscale: &Headscale, name: &str, namespace: &str, report: &mut Report) {
    const ID: &str = "instance-ready";
    let conditions = headscale.status.iter().flat_map(|status| &status.conditions);
    match conditions.into_iter().find(|condition| condition.type_ == names::READY) {
        Some(condition) if condition.status == "True" => report.ok(ID, "it is ready"),
        Some(condition) => report.error(
            ID,
            format!("it is not ready: {}", why(condition)),
            format!("`kubectl headscale describe instance {name} -n {namespace}` shows more"),
        ),
        None => report.warning(
            ID,
            "nobody said whether it is ready",
            "an operator says so: does one run, and does it look after this namespace? Without one, \
             `kubectl headscale render instance` writes the objects",
        ),
    }
}

/// The reason of a condition, with its message.
pub(super) fn why(condition: &Condition) -> String {
    match condition.message.as_str() {
        "" => condition.reason.clone(),
        message => format!("{}: {message}", condition.reason),
    }
}

async fn stateful_set(
    cluster: &Cluster,
    instance: &str,
    headscale: &Headscale,
    report: &mut Report,
) -> Result<bool, CommandError> {
    const ID: &str = "instance-statefulset";
    let api: Api<StatefulSet> = cluster.api();
    let uid = headscale.metadata.uid.as_deref();
    let mut found = None;
    for name in [Names::of(instance).main, Names::legacy().main] {
        let set = api.get_opt(&name).await.map_err(|error| cluster.error(error))?;
        let is_its = |set: &StatefulSet| {
            let owners = set.metadata.owner_references.iter().flatten();
            name == instance || owners.into_iter().any(|owner| Some(owner.uid.as_str()) == uid)
        };
        if let Some(set) = set.filter(is_its) {
            found = Some((name, set));
            break;
        }
    }
    let Some((name, set)) = found else {
        report.error(
            ID,
            format!("there is no statefulset/{instance}"),
            "an operator makes it, or `kubectl headscale render instance | kubectl apply \
             --server-side -f -`",
        );
        return Ok(false);
    };
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    if wanted == 0 {
        let hint = "`spec.replicas: 1` starts it";
        report.warning(ID, format!("statefulset/{name} is stopped: 0 replicas"), hint);
    } else if ready >= wanted {
        report.ok(ID, format!("statefulset/{name} has its pod"));
    } else {
        let namespace = &cluster.namespace;
        report.error(
            ID,
            format!("statefulset/{name} has {ready} of {wanted} pods ready"),
            format!(
                "`kubectl get pods -n {namespace} -l app.kubernetes.io/instance={instance}` and \
                 `kubectl logs -n {namespace} {name}-0` say why"
            ),
        );
    }
    Ok(ready > 0)
}

fn config(name: &str, headscale: &Headscale, namespace: &str, report: &mut Report) {
    const ID: &str = "instance-config";
    let version = release(&headscale.spec.version);
    let findings = findings(headscale, &Inputs::default());
    let hint = || {
        format!(
            "`kubectl get headscale {name} -n {namespace} -o yaml | kubectl headscale render \
             instance -f - > rendered.yaml` tells more"
        )
    };
    let mut told = false;
    for found in &findings {
        let state = match found.finding.severity {
            Severity::Error => State::Error,
            Severity::Warning => State::Warning,
            Severity::Info => continue,
        };
        told = true;
        let path = found.pointer.replace('/', ".");
        let message = format!("config{path}: {} ({})", found.finding.message, found.finding.rule);
        let hints = found.finding.help.clone().map_or_else(|| vec![hint()], |help| vec![help]);
        report.add(ID, state, message, hints);
    }
    if !told {
        report.ok(ID, format!("Headscale {version} takes its configuration"));
    }
}

async fn policy(
    cluster: &Cluster,
    name: &str,
    headscale: &Headscale,
    environment: &Environment,
    report: &mut Report,
) -> Result<(), CommandError> {
    const ID: &str = "instance-policy";
    let api: Api<HeadscalePolicy> = cluster.api();
    let listed = api.list(&ListParams::default()).await.map_err(|error| cluster.error(error))?;
    let policies: Vec<HeadscalePolicy> =
        listed.items.into_iter().filter(|policy| policy.spec.headscale_ref == name).collect();
    let own = headscale.spec.acl_policy.as_ref().and_then(|policy| policy.inline.as_deref());
    let count = policies.len() + usize::from(own.is_some());
    if count == 0 {
        report.warning(
            ID,
            "it has no policy, and so allows everything",
            format!(
                "`kubectl headscale create policy NAME --instance {name} --from-file FILE` gives it \
                 one"
            ),
        );
        return Ok(());
    }
    if count > 1 {
        report.error(
            ID,
            format!("it has {count} policies, and can have one"),
            format!("`kubectl headscale get policies -n {}` lists them", cluster.namespace),
        );
    }
    let namespace = &cluster.namespace;
    // What it is called, its text, and what prints it.
    let mut texts: Vec<(String, String, String)> = Vec::new();
    if let Some(own) = own {
        let get = format!("kubectl get headscale {name} -n {namespace}");
        texts.push(("its acl_policy.inline".to_owned(), own.to_owned(), get));
    }
    for policy in &policies {
        let called = policy.metadata.name.as_deref().unwrap_or_default();
        let what = format!("policy/{called}");
        if let Some(text) = &policy.spec.inline {
            let get = format!("kubectl get headscalepolicy {called} -n {namespace}");
            texts.push((what, text.clone(), get));
        } else if let Some(ConfigMapKeyRef { name: map, key }) = &policy.spec.config_map_ref {
            let maps: Api<ConfigMap> = cluster.api();
            let found = maps.get_opt(map).await.map_err(|error| cluster.error(error))?;
            match found.and_then(|found| found.data?.remove(key)) {
                Some(text) => {
                    texts.push((what, text, format!("kubectl get configmap {map} -n {namespace}")));
                }
                None => report.error(
                    ID,
                    format!("{what} is the key {key:?} of configmap/{map}, which is not there"),
                    format!("`kubectl create configmap {map} --from-file {key}=FILE` makes it"),
                ),
            }
        }
    }
    let version = release(&headscale.spec.version);
    let options =
        Options { versions: &[version], today: Some(environment.today), ..Options::default() };
    for (what, text, get) in texts {
        let checked = check(text.as_bytes(), &options);
        let mut counts: Counts = checked.uncounted;
        checked.findings.iter().for_each(|finding| counts.add(finding.severity));
        let hint = format!("`{get} -o yaml | kubectl headscale policy check -` shows them");
        if counts.errors > 0 {
            let message = format!("{what} has {} that Headscale refuses", n(counts.errors));
            report.error(ID, message, hint);
        } else if counts.warnings > 0 {
            report.warning(ID, format!("{what} has {} to look at", n(counts.warnings)), hint);
        } else {
            report.ok(ID, format!("Headscale {version} takes {what}"));
        }
    }
    Ok(())
}

fn n(count: u64) -> String {
    if count == 1 { "1 finding".to_owned() } else { format!("{count} findings") }
}
