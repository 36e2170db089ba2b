//! Every rule of the schemas, as the tables below `rules/` say: what it accepts and what it refuses.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Namespace;
use crate::schemas::{schemas, walk};

const TABLES: &[&str] = &[
    include_str!("rules/headscale.yaml"),
    include_str!("rules/headscaleautoapprover.yaml"),
    include_str!("rules/headscalepolicy.yaml"),
    include_str!("rules/headscalepreauthkey.yaml"),
    include_str!("rules/headscaleuser.yaml"),
];

/// The rules of a kind. What a rule accepts and refuses is merged (RFC 7386) into what is valid.
#[derive(Deserialize)]
struct Table {
    kind: String,
    /// A valid `spec`, and a valid `status` where the kind has rules about it.
    valid: Value,
    rules: Vec<Rule>,
}

/// A rule, named by the path of the field and the word of the schema, such as
/// `spec.version pattern`; a rule in CEL by what it says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    rule: String,
    accepts: Vec<Value>,
    refuses: Vec<Value>,
    /// A part of what the API server says of each that is refused.
    says: String,
}

fn tables() -> Vec<Table> {
    TABLES.iter().map(|text| serde_saphyr::from_str(text).expect("a table")).collect()
}

/// The rules that the schema of `kind` has, named as in the tables.
fn rules_of(kind: &str, schema: &Value) -> BTreeSet<String> {
    const BOUNDS: &[&str] = &[
        "enum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
    ];
    let mut rules = BTreeSet::new();
    walk("", schema, &mut |path, schema| {
        // Conditions are the same everywhere, so they are tried once.
        if path.contains("conditions[]") && kind != "Headscale" {
            return;
        }
        for bound in BOUNDS.iter().filter(|bound| schema.get(**bound).is_some()) {
            rules.insert(format!("{path} {bound}"));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            let dot = if path.is_empty() { "" } else { "." };
            rules.insert(format!("{path}{dot}{name} required"));
        }
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().expect("a rule in CEL says what is wrong");
            // Those about a change have steps of their own.
            if !message.ends_with("is immutable") {
                rules.insert(message.to_owned());
            }
        }
    });
    rules
}

#[test]
fn every_rule_has_both_cases() {
    let schemas = schemas();
    let tables = tables();
    assert_eq!(tables.len(), schemas.len());
    for table in tables {
        let listed: Vec<String> = table.rules.iter().map(|rule| rule.rule.clone()).collect();
        let found = rules_of(&table.kind, &schemas[&table.kind]);
        let unique: BTreeSet<String> = listed.iter().cloned().collect();
        assert_eq!(unique.len(), listed.len(), "{}: a rule is listed twice", table.kind);
        let missing: Vec<_> = found.difference(&unique).collect();
        let unknown: Vec<_> = unique.difference(&found).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{missing:#?} {unknown:#?}");
        for rule in &table.rules {
            assert!(!rule.accepts.is_empty() && !rule.refuses.is_empty(), "{}", rule.rule);
        }
    }
}

#[tokio::test]
async fn the_api_server_accepts_and_refuses_what_the_tables_say() {
    let Some(namespace) = Namespace::new().await else { return };
    let mut wrong = Vec::new();
    let mut tried = 0;
    for table in tables() {
        let valid = object(&table, &Value::Null, "valid");
        if let Err(said) = put(&namespace, &valid).await {
            panic!("{}: what is valid is refused: {said}", table.kind);
        }
        for (number, rule) in table.rules.iter().enumerate() {
            for (index, case) in rule.accepts.iter().enumerate() {
                let object = object(&table, case, &format!("accepts-{number}-{index}"));
                tried += 1;
                match put(&namespace, &object).await {
                    Ok(stored) => {
                        for part in ["spec", "status"] {
                            if stored[part] != object[part] {
                                wrong.push(format!(
                                    "{} {}: {part} is stored as {}, not as {}",
                                    table.kind, rule.rule, stored[part], object[part],
                                ));
                            }
                        }
                    }
                    Err(said) => {
                        wrong.push(format!("{} {}: {case}: {said}", table.kind, rule.rule));
                    }
                }
            }
            for (index, case) in rule.refuses.iter().enumerate() {
                let object = object(&table, case, &format!("refuses-{number}-{index}"));
                tried += 1;
                match put(&namespace, &object).await {
                    Ok(_) => wrong.push(format!("{} {}: {case} is taken", table.kind, rule.rule)),
                    Err(said) if said.contains(&rule.says) => {}
                    Err(said) => wrong.push(format!("{} {}: {said}", table.kind, rule.rule)),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{tried} tried\n{}", wrong.join("\n"));
}

/// A manifest of the table's kind: what is valid with `case` merged into it.
fn object(table: &Table, case: &Value, name: &str) -> Value {
    let mut content = table.valid.clone();
    merge(&mut content, case);
    let mut manifest = json!({
        "apiVersion": headscale_api::kinds::API_VERSION,
        "kind": table.kind,
        "metadata": { "name": name },
    });
    for part in ["spec", "status"] {
        if let Some(value) = content.get(part) {
            manifest[part] = value.clone();
        }
    }
    manifest
}

/// Applies the manifest, and then its status.
async fn put(namespace: &Namespace, manifest: &Value) -> Result<Value, String> {
    let mut applied = manifest.clone();
    let status = applied.as_object_mut().expect("an object").remove("status");
    let stored = namespace.apply(&applied).await?;
    match status {
        Some(status) => namespace.set_status(manifest, &status).await,
        None => Ok(stored),
    }
}

/// Merges as RFC 7386 says. Text such as `<a*254>` stands for as many letters.
fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(members) => {
            if !target.is_object() {
                *target = json!({});
            }
            let object = target.as_object_mut().expect("made one");
            for (name, value) in members {
                if value.is_null() {
                    object.shift_remove(name);
                } else {
                    merge(object.entry(name.clone()).or_insert(Value::Null), value);
                }
            }
        }
        Value::Null => {}
        Value::Array(items) => *target = items.iter().map(expanded).collect(),
        other => *target = expanded(other),
    }
}

fn expanded(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(spelled_out(text)),
        Value::Array(items) => items.iter().map(expanded).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), expanded(value))).collect()
        }
        other => other.clone(),
    }
}

fn spelled_out(text: &str) -> String {
    let Some((before, rest)) = text.split_once('<') else { return text.to_owned() };
    let Some((inside, after)) = rest.split_once('>') else { return text.to_owned() };
    let (letter, times) = inside.split_once('*').expect("a letter and how often");
    format!("{before}{}{after}", letter.repeat(times.parse().expect("a number")))
}
