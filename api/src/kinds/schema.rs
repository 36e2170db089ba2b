//! Schemas that cannot be derived: of Kubernetes' own types, and of objects that stay open.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A Go duration of hours, minutes and seconds, such as `1h30m`.
pub(super) const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(s|m|h))+$";

/// One label of a DNS name, with lower-case letters.
pub(super) const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Labels with dots between, as names of Kubernetes' objects and hosts are.
pub(super) const DNS_NAME: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// A key of a Secret or a ConfigMap.
pub(super) const DATA_KEY: &str = "^[-._a-zA-Z0-9]+$";

/// A tag as the Go operator took it; Headscale wants lower case, and says so itself.
pub(super) const TAG: &str = "^tag:[a-zA-Z0-9._-]+$";

/// The member `x-kubernetes-validations` for rules in CEL, each with what to say when it is broken.
pub(super) fn rules(rules: &[(&str, &str)]) -> Value {
    rules.iter().map(|(rule, message)| json!({ "rule": rule, "message": message })).collect()
}

/// An object that the API server stores as it is.
pub(super) fn open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A list of objects that the API server stores as they are.
pub(super) fn open_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// A list of environment variables: open but for their names.
pub(super) fn variables(_: &mut SchemaGenerator) -> Schema {
    open_but_for(&["name"])
}

/// A list of volumes: open but for their names.
pub(super) fn volumes(_: &mut SchemaGenerator) -> Schema {
    open_but_for(&["name"])
}

/// A list of volume mounts: open but for the volume and the path.
pub(super) fn mounts(_: &mut SchemaGenerator) -> Schema {
    open_but_for(&["mountPath", "name"])
}

fn open_but_for(required: &[&str]) -> Schema {
    let known = |name: &&str| {
        let what = match *name {
            "mountPath" => "Where in the container the volume is seen.",
            _ => "Its name.",
        };
        ((*name).to_owned(), json!({ "description": what, "type": "string" }))
    };
    let properties: serde_json::Map<String, Value> = required.iter().map(known).collect();
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "properties": properties,
            "required": required,
        },
    })
}

/// What a container may use and is sure to get.
pub(super) fn resources(generator: &mut SchemaGenerator) -> Schema {
    let mut amounts = |what: &str| {
        let amount = generator.subschema_for::<super::Quantity>();
        json!({ "description": what, "type": "object", "additionalProperties": amount })
    };
    let limits = amounts("The most that the container may use, such as `memory: 256Mi`.");
    let requests = amounts("What the container is sure to get, such as `cpu: 100m`.");
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": { "limits": limits, "requests": requests },
    })
}

/// Standard conditions, of which each type occurs once.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "description": "When the status last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "message": {
                    "description": "What a person should know, which may be nothing.",
                    "type": "string",
                    "maxLength": 32768,
                },
                "observedGeneration": {
                    "description": "The `metadata.generation` that the condition is about. An \
                                    older one than the object's means that it is out of date.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "One word for programs: why the status is as it is.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "What the condition says, such as `Ready`.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
            },
        },
    })
}
