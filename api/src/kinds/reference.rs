//! The reference of all kinds and fields, made from the schemas.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use super::{API_VERSION, crds};

const INTRODUCTION: &str = "\
Made by `cargo xtask generate` from `api/src/kinds`. `kubectl explain` shows the same in a cluster \
that has the kinds, and `kubectl headscale install crds` installs them.

Nothing has a default in the schemas: what is left out stays left out, and the text says what that \
means. The API server refuses an object that breaks one of the rules below a kind.
";

/// Markdown with each kind, its rules and its fields: name, type, whether it is required, and what
/// it is. Deterministic.
#[must_use]
pub fn reference() -> String {
    let mut text = format!("# Kinds of `{API_VERSION}`\n\n{INTRODUCTION}");
    for crd in crds() {
        kind(&mut text, &crd);
    }
    text
}

fn kind(text: &mut String, crd: &CustomResourceDefinition) {
    let names = &crd.spec.names;
    let versions = crd.spec.versions.iter();
    let Some(schema) =
        versions.filter_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref()).next()
    else {
        return;
    };
    let short = names.short_names.iter().flatten();
    let short: Vec<String> = short.map(|name| format!("`{name}`")).collect();
    let what = schema.description.as_deref().unwrap_or_default();
    // Writing to text cannot fail.
    let _ = write!(
        text,
        "\n## {}\n\n{what} `kubectl get {}`, or {} for short.\n",
        names.kind,
        names.plural,
        short.join(" and "),
    );
    let mut rules = Vec::new();
    collect_rules(schema, &mut rules);
    if !rules.is_empty() {
        text.push('\n');
    }
    for rule in rules {
        let _ = writeln!(text, "- {rule}");
    }
    text.push_str("\n| field | type | required | what |\n| --- | --- | --- | --- |\n");
    rows(text, "", schema);
}

fn collect_rules(schema: &JSONSchemaProps, rules: &mut Vec<String>) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        rules.push(rule.message.clone().unwrap_or_else(|| format!("`{}`", rule.rule)));
    }
    for child in schema.properties.iter().flat_map(|properties| properties.values()) {
        collect_rules(child, rules);
    }
}

fn rows(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    for (name, child) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_required = schema.required.iter().flatten().any(|required| required == name);
        let required = if is_required { "yes" } else { "" };
        let what = what(child).replace('|', "\\|");
        let _ = writeln!(text, "| `{path}` | {} | {required} | {what} |", type_of(child));
        // The same five members everywhere, which Kubernetes documents.
        if child.x_kubernetes_list_type.as_deref() != Some("map") {
            below(text, &path, child);
        }
    }
}

fn below(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    rows(text, path, schema);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        below(text, &format!("{path}[]"), items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(members)) = &schema.additional_properties {
        below(text, &format!("{path}.*"), members);
    }
}

fn type_of(schema: &JSONSchemaProps) -> String {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "amount".to_owned();
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        return format!("list of {}", type_of(items));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(members)) = &schema.additional_properties {
        return format!("map of {}", type_of(members));
    }
    match (schema.x_kubernetes_preserve_unknown_fields, schema.type_.as_deref()) {
        (Some(true), _) => "open object".to_owned(),
        (_, Some(name)) => name.to_owned(),
        (_, None) => "any".to_owned(),
    }
}

fn what(schema: &JSONSchemaProps) -> String {
    let mut what = schema.description.clone().unwrap_or_default();
    let least = schema.minimum.map(|minimum| format!(" At least {minimum}."));
    let longest = schema.max_length.map(|length| format!(" At most {length} characters."));
    what.extend(least);
    what.extend(longest);
    let items = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items.as_ref()),
        _ => None,
    };
    for pattern in [Some(schema), items].into_iter().flatten().filter_map(|s| s.pattern.as_ref()) {
        // An amount's says less than its name.
        if !pattern.contains("[KMGTPE]") {
            let _ = write!(what, " `{pattern}`");
        }
    }
    what
}
