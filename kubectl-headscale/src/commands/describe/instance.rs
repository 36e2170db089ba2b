//! What is told of an instance.

use headscale_api::config::ConfigFinding;
use headscale_api::desired::{self, Inputs};
use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser, names,
};
use headscale_keys::secret::EXPIRATION_ANNOTATION;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use kube::{Resource as _, ResourceExt as _};

use super::look::{Look, named, those};
use super::text::{NONE, Text, moment_text};
use crate::error::CommandError;

/// The text about `instance`.
pub(super) async fn describe(
    look: &Look<'_>,
    instance: &Headscale,
) -> Result<String, CommandError> {
    let mut text = Text::default();
    let (spec, status) = (&instance.spec, instance.status.as_ref());
    look.head(&mut text, &instance.metadata);
    if instance.annotations().get(names::PAUSED_ANNOTATION).is_some_and(|paused| paused == "true") {
        text.field("Paused", "yes: nobody looks after it");
    }
    let running = status.and_then(|status| status.version.as_deref());
    text.field(
        "Version",
        match running {
            Some(running) => format!("{}, running {running}", spec.version),
            None => format!("{}, not running yet", spec.version),
        },
    );
    let setting = |pointer: &str| {
        let config = spec.config.as_ref()?;
        let mut steps = pointer.split('.');
        let first = config.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))?.as_str()
    };
    let url = status.and_then(|status| status.url.as_deref()).or_else(|| setting("server_url"));
    text.field("URL", url.unwrap_or(NONE));
    text.field("Database", setting("database.type").unwrap_or("sqlite"));
    text.field("API Key", api_key(look, instance).await?);
    belongings(look, instance, &mut text).await?;
    children(look, instance, &mut text).await?;
    text.conditions(status.map_or(&[], |status| status.conditions.as_slice()));
    findings(instance, &mut text);
    look.events(&mut text, &instance.metadata).await?;
    Ok(text.finish())
}

/// Where the API key is and how long it is good for; never the key.
async fn api_key(look: &Look<'_>, instance: &Headscale) -> Result<String, CommandError> {
    let spec = instance.spec.api_key();
    if spec.auto_manage == Some(false) {
        return Ok("not looked after (api_key.auto_manage is false)".to_owned());
    }
    let own = format!("{}-api-key", instance.name_any());
    // The Go operator's.
    let older = "headscale-api-key".to_owned();
    let names = match spec.secret_name {
        Some(name) => vec![name],
        None => vec![own.clone(), older],
    };
    for name in &names {
        let secret = match look.secret(name).await? {
            Ok(Some(secret)) => secret,
            Ok(None) => continue,
            Err(unseen) => return Ok(format!("Secret {name} {unseen}")),
        };
        return Ok(match secret.annotations().get(EXPIRATION_ANNOTATION) {
            Some(end) => format!("Secret {name}, expires {}", moment_text(end, look.now)),
            None => format!("Secret {name}, which does not say when it expires"),
        });
    }
    let name = names.first().unwrap_or(&own);
    Ok(format!("Secret {name} (not there yet)"))
}

/// Users, keys, policies and approvers of the instance.
async fn belongings(
    look: &Look<'_>,
    instance: &Headscale,
    text: &mut Text,
) -> Result<(), CommandError> {
    let name = instance.name_any();
    let users = look.list::<HeadscaleUser>().await?;
    text.field("Users", named(those(&users, |user| user.spec.headscale_ref == name)));
    let keys = look.list::<HeadscalePreAuthKey>().await?;
    text.field("Pre-Auth Keys", named(those(&keys, |key| key.spec.headscale_ref == name)));
    let approvers = look.list::<HeadscaleAutoApprover>().await?;
    let approvers = those(&approvers, |approver| approver.spec.headscale_ref == name);
    text.field("Auto Approvers", named(approvers));
    let policies = look.list::<HeadscalePolicy>().await?;
    let policies = those(&policies, |policy| policy.spec.headscale_ref == name);
    let inline = instance.spec.acl_policy.as_ref().is_some_and(|policy| policy.inline.is_some());
    let many = policies.as_ref().map_or(0, Vec::len) + usize::from(inline);
    let policy = match (inline, named(policies)) {
        (true, none) if none == "0" => "in acl_policy.inline".to_owned(),
        (true, others) => format!("in acl_policy.inline, and {others}"),
        (false, none) if none == "0" => "none: everything is allowed".to_owned(),
        (false, others) => others,
    };
    text.field("Policy", if many > 1 { format!("{policy}: a conflict") } else { policy });
    Ok(())
}

/// What the instance is made of.
async fn children(
    look: &Look<'_>,
    instance: &Headscale,
    text: &mut Text,
) -> Result<(), CommandError> {
    let uid = instance.meta().uid.as_deref();
    let owned = |owners: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| {
        owners.iter().any(|owner| Some(owner.uid.as_str()) == uid)
    };
    let mut rows = Vec::new();
    match look.list::<StatefulSet>().await? {
        Ok(sets) => {
            for set in sets.iter().filter(|set| owned(set.owner_references())) {
                let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
                let ready = set.status.as_ref().and_then(|status| status.ready_replicas);
                let state = format!("{}/{wanted} ready", ready.unwrap_or(0));
                rows.push(["StatefulSet".to_owned(), set.name_any(), state]);
                claims(look, set, &mut rows).await?;
            }
        }
        Err(unseen) => rows.push(["StatefulSet".to_owned(), String::new(), unseen]),
    }
    match look.list::<Service>().await? {
        Ok(services) => {
            for service in services.iter().filter(|service| owned(service.owner_references())) {
                let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
                let ports: Vec<String> = ports.map(|port| port.port.to_string()).collect();
                let state = format!("port {}", ports.join(", "));
                rows.push(["Service".to_owned(), service.name_any(), state]);
            }
        }
        Err(unseen) => rows.push(["Service".to_owned(), String::new(), unseen]),
    }
    text.rows("Children", ["Kind", "Name", "State"], rows);
    Ok(())
}

/// The volumes of a StatefulSet, which nobody owns.
async fn claims(
    look: &Look<'_>,
    set: &StatefulSet,
    rows: &mut Vec<[String; 3]>,
) -> Result<(), CommandError> {
    let spec = set.spec.as_ref();
    let templates = spec.and_then(|spec| spec.volume_claim_templates.as_deref());
    for template in templates.unwrap_or_default() {
        let name = format!("{}-{}-0", template.name_any(), set.name_any());
        let state = match look.get::<PersistentVolumeClaim>(&name).await? {
            Ok(Some(claim)) => {
                claim.status.and_then(|status| status.phase).unwrap_or_else(|| "Pending".to_owned())
            }
            Ok(None) => continue,
            Err(unseen) => unseen,
        };
        rows.push(["PersistentVolumeClaim".to_owned(), name, state]);
    }
    Ok(())
}

/// What is wrong with the configuration that it will have, and what is changed to suit its version.
fn findings(instance: &Headscale, text: &mut Text) {
    let found = desired::findings(instance, &Inputs::default());
    if found.is_empty() {
        return;
    }
    let row = |found: ConfigFinding| {
        [
            found.finding.severity.to_string(),
            format!("/spec/config{}", found.pointer),
            found.finding.message,
        ]
    };
    let rows = found.into_iter().map(row).collect();
    text.rows("Configuration", ["Severity", "Where", "Finding"], rows);
}
