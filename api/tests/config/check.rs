//! What each version makes of a configuration: the cases of `cases.yaml`, whose verdicts are
//! Headscale's own.

use std::collections::BTreeSet;

use headscale_acl::{Severity, Source, Version};
use headscale_api::config::{ConfigFinding, check, check_beside, from_yaml, keys};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Cases {
    base: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    change: String,
    text: Option<String>,
    #[serde(default)]
    without: Vec<String>,
    #[serde(default)]
    refused: Vec<Version>,
    #[expect(dead_code, reason = "for people: how the verdict shows")]
    by: Option<String>,
    #[serde(default)]
    told: Value,
}

fn cases() -> Cases {
    serde_saphyr::from_str(include_str!("cases.yaml")).expect("cases.yaml can be read")
}

fn parsed(text: &str) -> Value {
    from_yaml(text).expect("the configuration is YAML")
}

/// The configuration of a case, as its file would be read.
fn config(cases: &Cases, case: &Case) -> Value {
    if let Some(text) = &case.text {
        return parsed(text);
    }
    let mut config = parsed(&cases.base);
    let change = parsed(&case.change);
    let members = config.as_object_mut().expect("the base has keys");
    let change = change.as_object().cloned().unwrap_or_default();
    let gone = |name: &str| change.contains_key(name) || case.without.iter().any(|key| key == name);
    members.retain(|name, _| !gone(name));
    members.extend(change);
    config
}

fn rules(findings: &[ConfigFinding]) -> BTreeSet<String> {
    findings.iter().map(|finding| finding.finding.rule.clone().into_owned()).collect()
}

fn expected(case: &Case, version: Version) -> BTreeSet<String> {
    let list = match &case.told {
        Value::Object(versions) => versions.get(version.as_str()),
        list => Some(list),
    };
    let list = list.and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect()
}

#[test]
fn every_case_is_told_what_it_should_be() {
    let all = cases();
    let mut wrong = Vec::new();
    for case in &all.cases {
        for version in Version::ALL {
            let findings = check(&config(&all, case), version);
            let is_refused = findings.iter().any(ConfigFinding::is_refused);
            if rules(&findings) != expected(case, version)
                || is_refused != case.refused.contains(&version)
            {
                wrong.push(json!([case.name, version, is_refused, rules(&findings)]).to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{} are told otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_the_cases_are_told() {
    use std::fmt::Write as _;
    let all = cases();
    let mut told = String::new();
    for case in &all.cases {
        let config = config(&all, case);
        let mut before = String::new();
        for version in Version::ALL {
            let mut text = String::new();
            for ConfigFinding { finding, pointer, about_key } in check(&config, version) {
                let what = if about_key { "key" } else { "value" };
                let source = match finding.source {
                    Source::Headscale => " of Headscale",
                    _ => "",
                };
                let (severity, rule) = (finding.severity, &finding.rule);
                writeln!(text, "  {severity}{source} [{rule}] {what} {pointer:?}").expect("text");
                writeln!(text, "    {}", finding.message).expect("text");
                if let Some(help) = finding.help {
                    writeln!(text, "    help: {help}").expect("text");
                }
            }
            // What is as in the version before is not repeated.
            if version == Version::V0_28 || text != before {
                writeln!(told, "{} [{version}]\n{text}", case.name).expect("text");
            }
            before = text;
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn an_error_of_ours_is_about_who_may_do_what() {
    let all = cases();
    for case in &all.cases {
        for version in Version::ALL {
            for found in check(&config(&all, case), version) {
                let finding = &found.finding;
                let rule = headscale_acl::rules::by_id(&finding.rule).expect("a rule");
                assert!(finding.severity >= rule.severity, "{finding:?}");
                if finding.source == Source::Lint && finding.severity == Severity::Error {
                    let message = &finding.message;
                    let help = finding.help.as_deref().unwrap_or_default();
                    let group = found.pointer.replace('/', ".").trim_start_matches('.').to_owned();
                    let is_security = keys().filter(|key| key.is_security).any(|key| {
                        message.contains(key.path)
                            || help.contains(key.path)
                            || key.path.starts_with(&format!("{group}."))
                    });
                    assert!(is_security, "{finding:?}");
                }
            }
        }
    }
}

#[test]
fn what_the_environment_sets_is_not_missing() {
    let config = json!({"oidc": {"issuer": "https://id.example.com", "client_id": "headscale"}});
    let is_missing = |elsewhere: &[&str]| {
        let findings = check_beside(&config, Version::V0_30, elsewhere);
        findings.iter().any(|f| f.finding.message.contains("client_secret_path is required"))
    };
    assert!(is_missing(&[]));
    assert!(!is_missing(&["oidc.client_secret"]));
}
