//! Which operators a cluster has.

use headscale_api::operator::{NAME, selector};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::settings;
use crate::error::CommandError;
use crate::kubernetes::Cluster;

/// What the Deployments of the Go operator's manifests and chart end in.
const GO_SUFFIX: &str = "-controller-manager";
/// What the name of its image contains.
const GO_IMAGE: &str = "headscale-operator";
const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The operators of a cluster, seen from one namespace.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The namespace.
    pub(crate) namespace: String,
    /// The one of the namespace.
    pub(crate) own: Option<Deployment>,
    /// All others that may be seen, of this program and the Go operator.
    pub(crate) others: Vec<Deployment>,
}

/// Whether a Deployment is the Go operator's.
fn is_go(deployment: &Deployment) -> bool {
    deployment.name_any().ends_with(GO_SUFFIX)
        && settings::image(deployment).is_some_and(|image| image.contains(GO_IMAGE))
}

/// Whether it is ours, from whatever it was installed.
fn is_ours(deployment: &Deployment) -> bool {
    let (name, labels) = ("app.kubernetes.io/name", selector());
    !is_go(deployment) && deployment.labels().get(name) == labels.get(name)
}

/// Whether Helm installed it.
pub(crate) fn is_of_helm(deployment: &Deployment) -> bool {
    deployment.labels().get(MANAGED_BY_LABEL).is_some_and(|by| by.eq_ignore_ascii_case("helm"))
}

/// Where a Deployment is, for a user.
fn place(deployment: &Deployment) -> String {
    let namespace = deployment.namespace().unwrap_or_default();
    format!("deployment/{} -n {namespace}", deployment.name_any())
}

/// Whether any pod of it is wanted.
fn is_up(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|spec| spec.replicas) != Some(0)
}

impl Survey {
    /// Looks for all that may be seen: whoever may not see all Deployments is told of the one of the
    /// namespace alone.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub(crate) async fn of(cluster: &Cluster, namespace: &str) -> Result<Self, CommandError> {
        let api: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
        let own = api.get_opt(NAME).await.map_err(|error| cluster.error(error))?;
        let api: Api<Deployment> = Api::all(cluster.client.clone());
        let all = match api.list(&ListParams::default()).await {
            Ok(all) => all.items,
            Err(kube::Error::Api(status)) if status.code == 403 => Vec::new(),
            Err(error) => return Err(cluster.error(error)),
        };
        let is_other = |deployment: &Deployment| {
            let is_own = deployment.namespace().as_deref() == Some(namespace)
                && deployment.name_any() == NAME;
            !is_own && (is_go(deployment) || is_ours(deployment))
        };
        let others = all.into_iter().filter(is_other).collect();
        Ok(Self { namespace: namespace.to_owned(), own, others })
    }

    /// Whether another operator of this program is in another namespace, which shares the roles of
    /// users with this one.
    pub(crate) fn is_shared(&self) -> bool {
        self.others.iter().any(is_ours)
    }

    /// That this namespace has none, and which have one.
    pub(crate) fn nothing_here(&self) -> CommandError {
        let error = CommandError::failed(format!(
            "no operator is installed in the namespace {:?}",
            self.namespace
        ));
        let mut namespaces: Vec<String> =
            self.others.iter().filter(|it| is_ours(it)).filter_map(Deployment::namespace).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        match namespaces.as_slice() {
            [] => error.hint("`kubectl headscale install` installs one"),
            found => error.hint(format!("one is in {}: name it with -n", found.join(", "))),
        }
    }

    /// What keeps an operator from being installed that looks after `watched`, or all namespaces where
    /// there are none; gives what the user should know where nothing does.
    ///
    /// # Errors
    ///
    /// That another one would be at work at the same time, unless `is_forced`; that Helm installed the
    /// one that is there.
    pub(super) fn judge(
        &self,
        watched: &[String],
        is_forced: bool,
    ) -> Result<Vec<String>, CommandError> {
        if let Some(own) = self.own.as_ref().filter(|own| is_of_helm(own)) {
            return Err(CommandError::failed(format!("{} is Helm's", place(own)))
                .hint(
                    "`helm upgrade` changes it; `kubectl headscale install crds` renews the kinds",
                )
                .hint("`helm uninstall`, which keeps all data, makes room for this one"));
        }
        let mut notes = Vec::new();
        for other in self.others.iter().filter(|other| is_up(other)) {
            let theirs = settings::watched(other);
            let overlaps = theirs.is_empty()
                || watched.is_empty()
                || theirs.iter().any(|namespace| watched.contains(namespace));
            if !overlaps {
                continue;
            }
            let what = if is_go(other) { "the Go operator" } else { "another operator" };
            let scale = format!("kubectl scale {} --replicas=0", place(other));
            if other.namespace().as_deref() == Some(&*self.namespace) {
                notes.push(format!(
                    "{what} is {}: both have one Lease, so that only one works, and this one waits \
                     until that one is gone: `{scale}`",
                    place(other)
                ));
            } else if is_forced {
                notes.push(format!(
                    "{what} is {}: both would work at once, each against the other",
                    place(other)
                ));
            } else {
                return Err(CommandError::failed(format!(
                    "{what} is {}: both would work at once, each against the other, because Leases \
                     are of one namespace",
                    place(other)
                ))
                .hint(format!("`{scale}` stops that one; what it made stays and is taken over"))
                .hint("-n with its namespace has both take turns; --force installs all the same"));
            }
        }
        Ok(notes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(namespace: &str, name: &str, image: &str, args: &[&str]) -> Deployment {
        let labels = json!({ "app.kubernetes.io/name": "headscale-operator" });
        serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": namespace, "labels": labels },
            "spec": {
                "replicas": 1,
                "selector": {},
                "template": { "spec": { "containers": [
                    { "name": "manager", "image": image, "args": args },
                ] } },
            },
        }))
        .expect("a Deployment")
    }

    fn survey(others: Vec<Deployment>) -> Survey {
        Survey { namespace: "here".to_owned(), own: None, others }
    }

    #[test]
    fn who_would_work_at_the_same_time_is_in_the_way() {
        let go = |namespace: &str| {
            let image = "ghcr.io/infradohq/headscale-operator:0.2.2";
            deployment(namespace, "headscale-operator-controller-manager", image, &[])
        };
        let ours = |args: &[&str]| deployment("there", NAME, "mirror.example/operator:v1", args);
        let all: &[String] = &[];
        let refused = survey(vec![go("there")]).judge(all, false).expect_err("both would work");
        assert!(refused.message.starts_with("the Go operator is deployment/"), "{refused:?}");
        let noted = survey(vec![go("here")]).judge(all, false).expect("they take turns");
        assert!(noted[0].contains("kubectl scale"), "{noted:?}");
        assert_eq!(survey(vec![go("there")]).judge(all, true).map(|notes| notes.len()), Ok(1));

        let watched = ["a".to_owned()];
        let judge = |args: &[&str]| survey(vec![ours(args)]).judge(&watched, false);
        assert_eq!(judge(&["--namespace=b"]), Ok(Vec::new()));
        assert!(judge(&["--namespace=a"]).is_err());
        assert!(judge(&[]).is_err());
        let mut stopped = go("there");
        stopped.spec.as_mut().expect("a spec").replicas = Some(0);
        assert_eq!(survey(vec![stopped]).judge(all, false), Ok(Vec::new()));
    }

    #[test]
    fn what_helm_installed_is_left_to_helm() {
        let mut own = deployment("here", NAME, "mirror.example/operator:v1", &[]);
        own.labels_mut().insert(MANAGED_BY_LABEL.to_owned(), "Helm".to_owned());
        let survey = Survey { own: Some(own), ..survey(Vec::new()) };
        let refused = survey.judge(&[], true).expect_err("Helm's");
        assert_eq!(refused.message, "deployment/headscale-operator -n here is Helm's");
    }

    #[test]
    fn who_looks_in_the_wrong_namespace_is_told_the_right_one() {
        let error = survey(vec![deployment("there", NAME, "operator:v1", &[])]).nothing_here();
        assert_eq!(error.hints, ["one is in there: name it with -n"]);
    }
}
