//! What is told of a policy.

use headscale_acl::{Date, LineIndex, Options, check};
use headscale_api::desired::release;
use headscale_api::kinds::{HeadscaleAutoApprover, HeadscalePolicy, HeadscalePolicySpec};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;

use super::look::{Look, named, those};
use super::text::{NONE, Text};
use crate::error::CommandError;

/// How many findings are shown.
const SHOWN: usize = 20;

/// The text about `policy`; `today` ends the `policy-ignore` comments that have an end.
pub(super) async fn describe(
    look: &Look<'_>,
    policy: &HeadscalePolicy,
    today: Date,
) -> Result<String, CommandError> {
    let mut text = Text::default();
    let (spec, status) = (&policy.spec, policy.status.clone().unwrap_or_default());
    look.head(&mut text, &policy.metadata);
    let instance = look.instance(&mut text, &spec.headscale_ref).await?;
    let (from, document) = document(look, spec).await?;
    text.field("From", from);
    text.fields("Plugins", spec.plugins.iter().map(|plugin| plugin.reference.clone()));
    let all = look.list::<HeadscalePolicy>().await?;
    let name = policy.name_any();
    let rivals = those(&all, |other| {
        other.spec.headscale_ref == spec.headscale_ref && other.name_any() != name
    });
    if rivals.as_ref().is_ok_and(|rivals| !rivals.is_empty()) {
        text.field("Conflicts With", named(rivals));
    }
    let approvers = look.list::<HeadscaleAutoApprover>().await?;
    let approvers = those(&approvers, |approver| approver.spec.headscale_ref == spec.headscale_ref);
    let acl_policy = instance.as_ref().and_then(|instance| instance.spec.acl_policy.as_ref());
    let owners = acl_policy.map_or(0, |policy| policy.tag_owners.len());
    text.field(
        "Replaced",
        match (&approvers, owners) {
            (Ok(approvers), 0) if approvers.is_empty() => NONE.to_owned(),
            (_, 0) => format!("autoApprovers by {}", named(approvers)),
            (Ok(none), _) if none.is_empty() => "tagOwners by acl_policy.tag_owners".to_owned(),
            (..) => {
                format!("tagOwners by acl_policy.tag_owners, autoApprovers by {}", named(approvers))
            }
        },
    );
    text.field("Hash", status.hash.as_deref().unwrap_or("<not taken over yet>"));
    text.conditions(&status.conditions);
    let version = instance.as_ref().map(|instance| release(&instance.spec.version));
    match document {
        Some(document) => {
            let versions =
                version.map_or_else(|| Options::default().versions.to_vec(), |v| vec![v]);
            findings(&mut text, &document, &versions, today);
        }
        None => {
            let row = |finding: headscale_api::kinds::PolicyFinding| {
                let place = match (finding.line, finding.column) {
                    (Some(line), Some(column)) => format!("{line}:{column}"),
                    _ => String::new(),
                };
                [place, finding.severity, finding.rule, finding.message]
            };
            let rows = status.findings.into_iter().map(row).collect();
            text.rows("Findings", ["Where", "Severity", "Rule", "Finding"], rows);
        }
    }
    if let Some(change) = &status.reachability {
        let row = |sign: &str, row: &headscale_api::kinds::ReachabilityRow| {
            [sign.to_owned(), row.src.clone(), row.dst.clone()]
        };
        let added = change.added.iter().map(|added| row("+", added));
        let removed = change.removed.iter().map(|removed| row("-", removed));
        let rows = added.chain(removed).collect();
        text.rows("Last Change", ["", "From", "To"], rows);
    }
    look.events(&mut text, &policy.metadata).await?;
    Ok(text.finish())
}

/// Where the policy comes from, and its text where it can be read.
async fn document(
    look: &Look<'_>,
    spec: &HeadscalePolicySpec,
) -> Result<(String, Option<String>), CommandError> {
    if let Some(inline) = &spec.inline {
        return Ok(("spec.inline".to_owned(), Some(inline.clone())));
    }
    if let Some(render) = &spec.render {
        return Ok((format!("plugin {}", render.plugin), None));
    }
    let Some(reference) = &spec.config_map_ref else { return Ok((NONE.to_owned(), None)) };
    let from = format!("key {} of ConfigMap {}", reference.key, reference.name);
    Ok(match look.get::<ConfigMap>(&reference.name).await? {
        Ok(Some(map)) => match map.data.and_then(|mut data| data.remove(&reference.key)) {
            Some(document) => (from, Some(document)),
            None => (format!("{from} (no such key)"), None),
        },
        Ok(None) => (format!("{from} (not found)"), None),
        Err(unseen) => (format!("{from} {unseen}"), None),
    })
}

/// What the check of the policy finds, with line and column in its text.
fn findings(text: &mut Text, document: &str, versions: &[headscale_acl::Version], today: Date) {
    let options = Options { versions, tailnet: None, today: Some(today) };
    let checked = check(document.as_bytes(), &options);
    let lines = LineIndex::new(document.as_bytes());
    let more = checked.findings.len().saturating_sub(SHOWN);
    let mut rows: Vec<[String; 4]> = checked
        .findings
        .into_iter()
        .take(SHOWN)
        .map(|finding| {
            let place = finding.span.map(|span| lines.position(span.start));
            let place = place.map(|place| format!("{}:{}", place.line, place.column));
            [
                place.unwrap_or_default(),
                finding.severity.to_string(),
                finding.rule.into_owned(),
                finding.message,
            ]
        })
        .collect();
    if more > 0 {
        rows.push(["".into(), "".into(), "".into(), format!("and {more} more")]);
    }
    text.rows("Findings", ["Where", "Severity", "Rule", "Finding"], rows);
}
