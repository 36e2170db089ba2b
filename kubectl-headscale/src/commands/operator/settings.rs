//! The settings of an operator: as flags, and as an operator that is there has them.

use clap::{ArgAction, Args};
use clap_complete::ArgValueCompleter;
use headscale_api::operator::{
    DEFAULT_NAMESPACE, DEFAULT_OPERATOR_IMAGE, HEALTH_PORT, METRICS_PORT, Options,
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;

use crate::commands::names;

const HEADING: &str = "Operator options";
const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// How the operator is to be.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SettingsArgs {
    /// Image of the operator, where not this release's
    #[arg(long, value_name = "IMAGE", help_heading = HEADING)]
    image: Option<String>,

    /// How many operators run, of which one works [default: 1]
    #[arg(long, value_name = "N", help_heading = HEADING)]
    replicas: Option<u16>,

    /// Look after this namespace, and others that are named so, and have rights there alone; without
    /// it, after all of the cluster
    #[arg(
        long = "watch-namespace",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = HEADING,
        add = ArgValueCompleter::new(names::namespace)
    )]
    watch_namespaces: Vec<String>,

    /// The least that the operator logs [default: info]
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = ["error", "warn", "info", "debug"],
        help_heading = HEADING
    )]
    log_level: Option<String>,

    /// Image of the sidecars, where not this release's
    #[arg(long, value_name = "IMAGE", help_heading = HEADING)]
    sidecar_image: Option<String>,

    /// Another argument of the operator, such as `--resync=5m`
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, help_heading = HEADING)]
    operator_arg: Vec<String>,

    /// Let whoever may view, edit or administer a namespace do the same with the kinds
    /// [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = ArgAction::Set,
        help_heading = HEADING
    )]
    user_roles: Option<bool>,

    /// Make the namespace where it is missing
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        action = ArgAction::Set,
        help_heading = HEADING
    )]
    create_namespace: bool,

    /// Have the definitions of the kinds among it
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        action = ArgAction::Set,
        help_heading = HEADING
    )]
    pub(crate) crds: bool,
}

impl SettingsArgs {
    /// `base` with what the flags say, in `namespace` or the usual one.
    pub(crate) fn options(&self, base: Options, namespace: Option<&str>) -> Options {
        let flags = self.clone();
        let or =
            |given: Vec<String>, base: Vec<String>| if given.is_empty() { base } else { given };
        let mut watch_namespaces = or(flags.watch_namespaces, base.watch_namespaces);
        watch_namespaces.sort_unstable();
        watch_namespaces.dedup();
        Options {
            namespace: namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned(),
            with_namespace: flags.create_namespace,
            image: flags.image.unwrap_or(base.image),
            replicas: flags.replicas.unwrap_or(base.replicas),
            watch_namespaces,
            log_level: flags.log_level.or(base.log_level),
            sidecar_image: flags.sidecar_image.or(base.sidecar_image),
            extra_args: or(flags.operator_arg, base.extra_args),
            with_user_roles: flags.user_roles.unwrap_or(base.with_user_roles),
            managed_by: base.managed_by,
        }
    }
}

/// The arguments of the operator.
fn arguments(deployment: &Deployment) -> &[String] {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let container = pod.and_then(|pod| pod.containers.first());
    container.and_then(|container| container.args.as_deref()).unwrap_or_default()
}

/// The namespaces that an operator looks after: all where there are none here.
pub(crate) fn watched(deployment: &Deployment) -> Vec<String> {
    let values = arguments(deployment).iter().filter_map(|it| it.strip_prefix("--namespace="));
    values.map(str::to_owned).collect()
}

/// The version of an operator that is there, without a `v`.
pub(super) fn version(deployment: &Deployment) -> Option<&str> {
    deployment.labels().get(VERSION_LABEL).map(String::as_str)
}

/// The image of an operator that is there.
pub(super) fn image(deployment: &Deployment) -> Option<&str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.first()?.image.as_deref()
}

/// The settings of an operator that is there, with the image of this release.
pub(super) fn of(deployment: &Deployment, has_user_roles: bool) -> Options {
    let mut options = Options { with_user_roles: has_user_roles, ..Options::default() };
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    options.replicas = replicas.and_then(|replicas| replicas.try_into().ok()).unwrap_or(1);
    if let Some(image) = image(deployment) {
        options.image = renewed(image, version(deployment));
    }
    let fixed = [
        "--leader-elect".to_owned(),
        format!("--health-probe-bind-address=:{HEALTH_PORT}"),
        format!("--metrics-bind-address=:{METRICS_PORT}"),
    ];
    for argument in arguments(deployment) {
        match argument.split_once('=') {
            _ if fixed.contains(argument) => {}
            Some(("--namespace", value)) => options.watch_namespaces.push(value.to_owned()),
            Some(("--log-level", value)) => options.log_level = Some(value.to_owned()),
            Some(("--sidecar-image", value)) => options.sidecar_image = Some(value.to_owned()),
            _ => options.extra_args.push(argument.clone()),
        }
    }
    options
}

/// The image of this release in the place where that of the release `version` was taken from. One
/// that is not that release's by its tag is somebody's own, and stays.
fn renewed(image: &str, version: Option<&str>) -> String {
    let tag = version.map(|version| format!(":v{version}"));
    let place = tag.and_then(|tag| image.strip_suffix(tag.as_str()));
    let newest = DEFAULT_OPERATOR_IMAGE.rsplit_once(':');
    match (place, newest) {
        (Some(place), Some((_, newest))) => format!("{place}:{newest}"),
        _ => image.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use headscale_api::operator::{VERSION, desired};

    use super::*;

    fn deployment(options: &Options) -> Deployment {
        let objects = desired(options);
        let deployment = objects.into_iter().find(|object| object["kind"] == "Deployment");
        serde_json::from_value(deployment.expect("a Deployment")).expect("its kind")
    }

    #[test]
    fn an_operator_tells_the_settings_that_it_was_installed_with() {
        let options = Options {
            replicas: 2,
            watch_namespaces: vec!["a".to_owned(), "b".to_owned()],
            log_level: Some("debug".to_owned()),
            sidecar_image: Some("mirror.example/sidecar:1".to_owned()),
            extra_args: vec!["--resync=5m".to_owned(), "--enable-http2".to_owned()],
            with_user_roles: false,
            ..Options::default()
        };
        assert_eq!(of(&deployment(&options), false), options);
        assert_eq!(watched(&deployment(&options)), options.watch_namespaces);
        assert_eq!(of(&deployment(&Options::default()), true), Options::default());
        assert_eq!(version(&deployment(&options)), Some(VERSION));
    }

    #[test]
    fn flags_count_and_what_they_leave_out_stays() {
        let base =
            Options { replicas: 3, log_level: Some("warn".to_owned()), ..Options::default() };
        let flags = SettingsArgs {
            replicas: Some(2),
            watch_namespaces: ["b", "a", "b"].map(str::to_owned).into(),
            ..SettingsArgs::default()
        };
        let options = flags.options(base, Some("here"));
        assert_eq!((options.replicas, options.log_level.as_deref()), (2, Some("warn")));
        assert_eq!(options.watch_namespaces, ["a", "b"]);
        assert_eq!(options.namespace, "here");
    }

    #[test]
    fn the_image_of_a_mirror_is_renewed_and_one_s_own_is_kept() {
        let newest = format!("mirror.example/operator:v{VERSION}");
        assert_eq!(renewed("mirror.example/operator:v0.0.1", Some("0.0.1")), newest);
        for own in ["mirror.example/operator:mine", "mirror.example/operator@sha256:0a"] {
            assert_eq!(renewed(own, Some("0.0.1")), own);
        }
        assert_eq!(renewed("operator:v1", None), "operator:v1");
    }
}
