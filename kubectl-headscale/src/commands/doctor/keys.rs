//! Whether the keys of an instance are there and good. Their values are never shown.

use headscale_api::desired::Names;
use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser, names};
use headscale_keys::ApiKey;
use headscale_keys::secret::{EXPIRATION, EXPIRATION_ANNOTATION, KEY};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams};

use super::instance::why;
use super::report::Report;
use crate::environment::Environment;
use crate::error::CommandError;
use crate::kubernetes::Cluster;

/// An API key that ends within this is worth a look: it should have been replaced.
const SOON: SignedDuration = SignedDuration::from_hours(72);

/// Looks at the keys and the users of `headscale`, which is called `name`.
pub(super) async fn look(
    cluster: &Cluster,
    name: &str,
    headscale: &Headscale,
    environment: &Environment,
    report: &mut Report,
) -> Result<(), CommandError> {
    report.begin(format!("keys of {name}"));
    api_key(cluster, name, headscale, environment.now, report).await?;
    users(cluster, name, report).await?;
    pre_auth_keys(cluster, name, environment.now, report).await
}

async fn api_key(
    cluster: &Cluster,
    name: &str,
    headscale: &Headscale,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), CommandError> {
    const ID: &str = "api-key-secret";
    let spec = headscale.spec.api_key();
    let candidates = match spec.secret_name {
        Some(given) => vec![given],
        None => vec![Names::of(name).api_key, Names::legacy().api_key],
    };
    let api: Api<Secret> = cluster.api();
    let mut found = None;
    for candidate in &candidates {
        if let Some(secret) = api.get_opt(candidate).await.map_err(|error| cluster.error(error))? {
            found = Some((candidate, secret));
            break;
        }
    }
    let namespace = &cluster.namespace;
    let Some((secret_name, secret)) = found else {
        let message = format!("there is no secret/{}", candidates.join(" or secret/"));
        let hint = if spec.auto_manage == Some(false) {
            "`spec.api_key.auto_manage` is false: make the Secret by hand, with the key `api-key`"
                .to_owned()
        } else {
            format!(
                "the sidecar of the pod makes it when Headscale runs: `kubectl logs -n {namespace} \
                 {name}-0 --all-containers`"
            )
        };
        report.error(ID, message, hint);
        return Ok(());
    };
    let text = |key: &str| {
        let data = secret.data.as_ref()?.get(key)?;
        std::str::from_utf8(&data.0).ok().map(str::trim)
    };
    if text(KEY).is_none_or(|text| ApiKey::parse(text).is_err()) {
        report.error(
            ID,
            format!("secret/{secret_name} has no API key in {KEY:?}"),
            format!("the sidecar makes another one after `kubectl delete secret {secret_name} -n {namespace}`"),
        );
        return Ok(());
    }
    report.ok(ID, format!("the API key is in secret/{secret_name}"));
    let annotations = secret.metadata.annotations.as_ref();
    let annotated = annotations.and_then(|all| all.get(EXPIRATION_ANNOTATION)).map(String::as_str);
    let until = annotated.or_else(|| text(EXPIRATION)).and_then(|text| text.parse().ok());
    expiration(until, now, name, namespace, report);
    Ok(())
}

fn expiration(
    until: Option<Timestamp>,
    now: Timestamp,
    name: &str,
    namespace: &str,
    report: &mut Report,
) {
    const ID: &str = "api-key-expiration";
    let logs = format!(
        "the sidecar replaces it: `kubectl logs -n {namespace} {name}-0 --all-containers` says why \
         it does not"
    );
    match until.map(|until| until.duration_since(now)) {
        None => report.warning(ID, "nobody says when the API key expires", logs),
        Some(left) if !left.is_positive() => {
            report.error(ID, format!("the API key expired {} ago", words(-left)), logs);
        }
        Some(left) if left < SOON => {
            report.warning(ID, format!("the API key expires in {}", words(left)), logs);
        }
        Some(left) => report.ok(ID, format!("the API key is good for {}", words(left))),
    }
}

/// A duration in the largest unit that it has.
fn words(duration: SignedDuration) -> String {
    let (count, unit) = match duration.as_secs() {
        seconds @ ..60 => (seconds, "second"),
        seconds @ 60..3_600 => (seconds / 60, "minute"),
        seconds @ 3_600..172_800 => (seconds / 3_600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// Objects that are not ready, with why.
struct Unready(Vec<String>);

impl Unready {
    fn tell(&self, id: &'static str, total: usize, noun: &str, hint: &str, report: &mut Report) {
        const SHOWN: usize = 5;
        let Self(lines) = self;
        if lines.is_empty() {
            let message = match total {
                0 => format!("there are no {noun}s"),
                1 => format!("its {noun} is ready"),
                total => format!("all {total} {noun}s are ready"),
            };
            return report.ok(id, message);
        }
        let shown: String = lines.iter().take(SHOWN).map(|line| format!("\n{line}")).collect();
        let rest = match lines.len().saturating_sub(SHOWN) {
            0 => String::new(),
            rest => format!("\nand {rest} more"),
        };
        let message = format!("{} of {total} {noun}s are not ready:{shown}{rest}", lines.len());
        report.warning(id, message, hint);
    }
}

fn unready(name: &str, conditions: Option<&Vec<Condition>>) -> Option<String> {
    let mut conditions = conditions.into_iter().flatten();
    match conditions.find(|condition| condition.type_ == names::READY) {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => Some(format!("{name}: {}", why(condition))),
        None => Some(format!("{name}: nobody said anything about it")),
    }
}

async fn users(cluster: &Cluster, name: &str, report: &mut Report) -> Result<(), CommandError> {
    let api: Api<HeadscaleUser> = cluster.api();
    let listed = api.list(&ListParams::default()).await.map_err(|error| cluster.error(error))?;
    let all: Vec<HeadscaleUser> =
        listed.items.into_iter().filter(|user| user.spec.headscale_ref == name).collect();
    let lines = all.iter().filter_map(|user| {
        let name = user.metadata.name.as_deref().unwrap_or_default();
        unready(name, user.status.as_ref().map(|status| &status.conditions))
    });
    let hint = format!("`kubectl headscale get users -n {} -o wide` lists them", cluster.namespace);
    Unready(lines.collect()).tell("users-ready", all.len(), "user", &hint, report);
    Ok(())
}

async fn pre_auth_keys(
    cluster: &Cluster,
    name: &str,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), CommandError> {
    let api: Api<HeadscalePreAuthKey> = cluster.api();
    let listed = api.list(&ListParams::default()).await.map_err(|error| cluster.error(error))?;
    let all: Vec<HeadscalePreAuthKey> =
        listed.items.into_iter().filter(|key| key.spec.headscale_ref == name).collect();
    let expired = |key: &HeadscalePreAuthKey| {
        let until: Timestamp = key.status.as_ref()?.expiration.as_deref()?.parse().ok()?;
        let over = now.duration_since(until);
        (!over.is_negative()).then(|| words(over))
    };
    let called = |key: &HeadscalePreAuthKey| key.metadata.name.clone().unwrap_or_default();
    let lines = all.iter().filter(|key| expired(key).is_none()).filter_map(|key| {
        unready(&called(key), key.status.as_ref().map(|status| &status.conditions))
    });
    let namespace = &cluster.namespace;
    let hint = format!("`kubectl headscale get preauthkeys -n {namespace} -o wide` lists them");
    Unready(lines.collect()).tell("preauthkeys-ready", all.len(), "pre-auth key", &hint, report);
    let expired: Vec<String> = all
        .iter()
        .filter_map(|key| Some(format!("{} ({} ago)", called(key), expired(key)?)))
        .collect();
    if !expired.is_empty() {
        report.warning(
            "preauthkeys-expired",
            format!("expired: {}", expired.join(", ")),
            "nothing joins with them: `kubectl headscale delete preauthkey NAME` removes one",
        );
    }
    Ok(())
}
