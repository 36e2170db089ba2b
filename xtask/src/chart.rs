//! What of the Helm chart is made from code: the definitions of the kinds, and who may do what.

use std::fmt::Write as _;

use headscale_api::kinds;
use headscale_api::operator::{LEASE_RIGHTS, Options, RIGHTS, Right, desired};
use serde_json::Value;

use crate::generate::File;

const CHART: &str = "charts/headscale-operator";
const HEADER: &str =
    "{{/* Made by `cargo xtask generate` from api/src/operator; do not edit. */}}\n";

/// The files of the chart that are made from code.
pub(crate) fn files() -> Vec<File> {
    let mut files = vec![
        File { path: format!("{CHART}/templates/_rights.tpl").into(), text: rights() },
        File { path: format!("{CHART}/templates/userroles.yaml").into(), text: user_roles() },
    ];
    let crds = kinds::crd_files().into_iter();
    files.extend(
        crds.map(|(name, text)| File { path: format!("{CHART}/crds/{name}").into(), text }),
    );
    files
}

/// The rules as named templates, each with its reason.
fn rights() -> String {
    let define = |name: &str, rights: &[Right]| {
        let rules: String = rights.iter().map(|right| right.yaml(0)).collect();
        format!("{{{{- define \"headscale-operator.{name}\" -}}}}\n{rules}{{{{- end -}}}}\n")
    };
    format!("{HEADER}{}{}", define("rights", RIGHTS), define("leaseRights", LEASE_RIGHTS))
}

/// The roles of users, with the labels of the chart.
fn user_roles() -> String {
    let mut text =
        format!("{HEADER}{{{{- if and .Values.rbac.create .Values.rbac.userRoles }}}}\n");
    let objects = desired(&Options::default());
    for (role, aggregation) in objects.iter().filter_map(|role| Some((role, aggregation(role)?))) {
        let name = role.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        // Rules are text and lists, which can always be written.
        let rules = serde_saphyr::to_string(&role["rules"]).unwrap_or_default();
        let rules: String = rules.lines().map(|line| format!("  {line}\n")).collect();
        // Writing to a text does not fail.
        write!(
            text,
            "---\n\
             apiVersion: rbac.authorization.k8s.io/v1\n\
             kind: ClusterRole\n\
             metadata:\n  name: {name}\n  labels:\n    \
             {{{{- merge (dict \"{aggregation}\" \"true\") \
             (include \"headscale-operator.labels\" . | fromYaml) | toYaml | nindent 4 }}}}\n\
             rules:\n{rules}"
        )
        .ok();
    }
    text + "{{- end }}\n"
}

/// The label by which a role becomes part of another; none of the operator's own roles has one.
fn aggregation(role: &Value) -> Option<&str> {
    let labels = role.pointer("/metadata/labels")?.as_object()?;
    labels.keys().map(String::as_str).find(|key| key.contains("/aggregate-to-"))
}
