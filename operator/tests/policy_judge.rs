//! Whether a document may be given to Headscale.

use headscale_acl::tailnet::User;
use headscale_acl::{Tailnet, Version};
use headscale_operator::policy::{Subject, judge, judge_live};

fn subject(text: &str) -> Subject<'_> {
    Subject { text, base: text, name: "spec.inline" }
}

/// The message with which a document is refused.
fn refusal(text: &str, versions: &[Version]) -> Option<String> {
    let refused = judge(&subject(text), versions, None).refused?;
    assert_eq!(refused.reason, "PolicyInvalid");
    Some(refused.message)
}

#[test]
fn a_mistake_is_told_with_its_place_its_rule_and_what_mends_it() {
    let text = "{\n  \"acls\": [\n    {\"action\": \"accept\", \"src\": [\"group:dev\"], \
                \"dst\": [\"*:*\"]},\n  ],\n}\n";
    let message = refusal(text, &[Version::V0_29]).unwrap();
    assert!(message.starts_with("spec.inline:3:34: "), "{message}");
    assert!(message.contains("(group-undefined); "), "{message}");
    let judged = judge(&subject(text), &[Version::V0_29], None);
    let first = &judged.findings[0];
    assert_eq!((&*first.rule, &*first.severity), ("group-undefined", "error"));
    assert_eq!((first.line, first.column), (Some(3), Some(34)));
}

#[test]
fn places_are_those_of_the_text_that_a_person_wrote() {
    let base = "{\n\"tagOwners\": {\"tag:a\": []},\n\"acls\": [{\"src\": [\"group:ü\"], \"dst\": \
                [\"group:x:1\"]}],\n}\n";
    let text = base
        .replace("{\"tag:a\": []}", "{\n\t\"tag:a\": [\"alice@\"],\n\t\"tag:b\": [\"alice@\"],\n}");
    let judged =
        judge(&Subject { text: &text, base, name: "spec.inline" }, &[Version::V0_29], None);
    let places: Vec<_> = judged
        .findings
        .iter()
        .filter(|it| it.severity == "error")
        .map(|it| (it.line, it.column))
        .collect();
    assert_eq!(places, [(Some(3), Some(19)), (Some(3), Some(39))], "{:?}", judged.findings);
}

#[test]
fn a_place_that_nobody_wrote_is_none() {
    let base = "{\"tagOwners\": {}, \"acls\": []}";
    let text = "{\"tagOwners\": {\"tag:a\": [\"group:none\"]}, \"acls\": []}";
    let judged = judge(&Subject { text, base, name: "spec.inline" }, &[Version::V0_29], None);
    assert_eq!((judged.findings[0].line, judged.findings[0].column), (None, None));
    let message = judged.refused.unwrap().message;
    assert!(message.starts_with("spec.inline: "), "{message}");
}

#[test]
fn what_takes_headscale_down_is_refused_although_headscale_takes_it() {
    let ssh =
        r#"{"acls": [], "sshTests": [{"src": "*", "dst": ["100.64.0.3"], "deny": ["root"]}]}"#;
    let silenced = format!("{ssh} // policy-ignore: ssh-test-enumerates -- we like it");
    for text in ["", ssh, &silenced] {
        let message = refusal(text, &[Version::V0_29]);
        assert!(message.is_some(), "{text}");
    }
    assert!(refusal("{\"acls\": []}", &[Version::V0_29]).is_none());
    // It says that everything is allowed.
    assert!(refusal("{}", &[Version::V0_29]).is_none());
}

#[test]
fn every_version_that_is_come_by_must_take_it() {
    let text = r#"{"acls": [], "randomizeClientPort": true}"#;
    assert!(refusal(text, &[Version::V0_28]).is_some());
    assert!(refusal(text, &[Version::V0_28, Version::V0_29]).is_some());
    assert!(refusal(text, &[Version::V0_29, Version::V0_30]).is_none());
}

#[test]
fn users_and_nodes_are_looked_at_where_they_are_known() {
    let alice = User { id: 1, name: "alice".to_owned(), ..User::default() };
    let attrs = |user: &str| {
        format!(
            r#"{{"acls": [], "nodeAttrs": [{{"target": ["{user}@"], "attr": ["nextdns:no-device-info"]}}]}}"#
        )
    };
    let tailnet = Tailnet::new(vec![alice], Vec::new());
    for (user, is_refused) in [("alice", false), ("carol", true)] {
        let text = attrs(user);
        let alone = judge(&subject(&text), &[Version::V0_29], None);
        assert!(alone.refused.is_none() && alone.needs_users);
        let live = judge_live(&subject(&text), &[Version::V0_29], &tailnet, false);
        assert_eq!(live.refused.is_some(), is_refused, "{user}: {live:?}");
    }
    let text = r#"{"acls": [], "tests": [{"src": "alice@", "accept": ["alice@:22"]}]}"#;
    let alone = judge(&subject(text), &[Version::V0_29], None);
    assert!(alone.refused.is_none() && alone.has_tests && !alone.needs_users);
    let live = |has_nodes| judge_live(&subject(text), &[Version::V0_29], &tailnet, has_nodes);
    assert!(live(false).refused.is_none(), "without nodes no test can be run");
    assert_eq!(live(true).findings[0].rule, "test-failed");
}

#[test]
fn a_status_shows_the_first_findings_and_errors_come_first() {
    let hosts: Vec<String> = (0..100).map(|it| format!("\"h{it}\": \"10.0.0.{it}\"")).collect();
    let text = format!(
        "{{\"hosts\": {{{}}}, \"acls\": [{{\"src\": [\"group:x\"], \"dst\": [\"*:*\"]}}]}}",
        hosts.join(", ")
    );
    let judged = judge(&subject(&text), &[Version::V0_29], None);
    assert!(judged.findings.len() <= 20);
    assert_eq!(judged.findings[0].severity, "error");
    let text = text.replace("group:x", "alice@");
    let judged = judge(&subject(&text), &[Version::V0_29], None);
    assert_eq!(judged.findings.len(), 20);
    assert!(judged.refused.is_none());
}
