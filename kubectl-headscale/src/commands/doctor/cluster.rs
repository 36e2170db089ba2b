//! Whether the cluster can be asked, knows the kinds, and lets the user do what is needed.

use headscale_api::kinds::{self, CRD_VERSION};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::report::{Report, State};
use crate::commands::install::{Installed, installed};
use crate::kubernetes::{Cluster, RESOURCES};

/// Whether the API server answers.
pub(super) async fn server(cluster: &Cluster, report: &mut Report) -> bool {
    report.begin("cluster");
    match cluster.client.apiserver_version().await {
        Ok(version) => {
            report.ok(
                "cluster-reachable",
                format!("the API server answers: {}", version.git_version),
            );
            true
        }
        Err(error) => {
            let error = cluster.error(error);
            let message = match error.label.as_ref() {
                "" | "error" => error.message,
                label => format!("{label}: {}", error.message),
            };
            report.add("cluster-reachable", State::Error, message, error.hints);
            false
        }
    }
}

/// Whether the cluster has the kinds, and which.
pub(super) async fn kinds(cluster: &Cluster, report: &mut Report) -> bool {
    const ID: &str = "kinds-installed";
    const INSTALL: &str = "`kubectl headscale install crds` installs them";
    report.begin("kinds");
    match installed(cluster).await {
        Ok(Installed::Nothing) => {
            report.error(ID, "the cluster has no kinds of Headscale", INSTALL);
            false
        }
        Ok(Installed::Foreign) => {
            report.warning(
                ID,
                "the cluster has the kinds from another program, such as the Go operator",
                "`kubectl headscale install crds --force-conflicts` takes them over",
            );
            true
        }
        Ok(Installed::Versions { count, .. }) if count < RESOURCES.len() => {
            let message = format!("the cluster has {count} of {} kinds", RESOURCES.len());
            report.error(ID, message, INSTALL);
            true
        }
        Ok(Installed::Versions { oldest, .. }) if oldest < CRD_VERSION => {
            let message =
                format!("the kinds are of version {oldest}, this program has {CRD_VERSION}");
            report.warning(ID, message, "`kubectl headscale install crds` renews them");
            true
        }
        Ok(Installed::Versions { newest, .. }) if newest > CRD_VERSION => {
            let message =
                format!("the kinds are of version {newest}, this program has {CRD_VERSION}");
            report.warning(ID, message, "`kubectl krew upgrade headscale` gets a newer program");
            true
        }
        Ok(Installed::Versions { .. }) => {
            report.ok(
                ID,
                format!("all {} kinds are there, in version {CRD_VERSION}", RESOURCES.len()),
            );
            true
        }
        // Whoever may not look at definitions may still use them.
        Err(error) => {
            report.add(ID, State::Warning, error.message, error.hints);
            true
        }
    }
}

/// What a user of this program does: the verb, the group, the resource with its part, what for, and
/// whether nothing goes without it.
const DEEDS: [(&str, &str, &str, &str, bool); 6] = [
    ("list", kinds::GROUP, "headscales", "see instances", true),
    ("create", kinds::GROUP, "headscales", "make instances", false),
    ("create", kinds::GROUP, "headscaleusers", "make users", false),
    ("create", kinds::GROUP, "headscalepreauthkeys", "make pre-auth keys", false),
    ("get", "", "secrets", "read the API key of an instance", false),
    ("create", "", "pods/portforward", "talk to an instance", false),
];

/// What the user may do in the namespace.
pub(super) async fn rights(cluster: &Cluster, report: &mut Report) {
    const ID: &str = "rights";
    report.begin("rights");
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let namespace = &cluster.namespace;
    let mut missing = 0;
    for (verb, group, resource, what, is_needed) in DEEDS {
        let (name, part) = match resource.split_once('/') {
            Some((name, part)) => (name, Some(part.to_owned())),
            None => (resource, None),
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(group.to_owned()),
                    namespace: Some(namespace.clone()),
                    resource: Some(name.to_owned()),
                    subresource: part,
                    verb: Some(verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviewed = match api.create(&PostParams::default(), &review).await {
            Ok(reviewed) => reviewed,
            Err(error) => {
                let error = cluster.error(error);
                return report.add(ID, State::Warning, error.message, error.hints);
            }
        };
        if reviewed.status.is_some_and(|status| status.allowed) {
            continue;
        }
        missing += 1;
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        let hint = format!(
            "a Role with the verb {verb:?} for {resource}{group} allows it; `kubectl auth can-i \
             {verb} {resource}{group} -n {namespace}` asks again"
        );
        let state = if is_needed { State::Error } else { State::Warning };
        report.add(ID, state, format!("you may not {what} in {namespace:?}"), vec![hint]);
    }
    if missing == 0 {
        report.ok(ID, format!("you may do in {namespace:?} what the commands do"));
    }
}
