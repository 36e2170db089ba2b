//! One document out of what was declared, and whether it is to be given to Headscale.

use std::collections::{BTreeMap, BTreeSet};

use headscale_acl::Version;
use headscale_api::kinds::{ApprovedRoute, HeadscaleAutoApproverSpec};
use headscale_operator::policy::{
    Approvals, NOTHING, Parts, Step, allows_everything, compose, is_same_policy, owned_tags,
    reachability, step, unfit,
};

fn approver(routes: &[(&str, &[&str])], exit: &[&str]) -> HeadscaleAutoApproverSpec {
    let owned = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
    let routes = routes
        .iter()
        .map(|(cidr, tags)| ApprovedRoute { cidr: (*cidr).to_owned(), tags: owned(tags) });
    HeadscaleAutoApproverSpec {
        headscale_ref: "hs".to_owned(),
        routes: routes.collect(),
        exit_node_tags: owned(exit),
    }
}

fn owners(tags: &[&str]) -> BTreeMap<String, Vec<String>> {
    tags.iter().map(|&tag| (tag.to_owned(), vec!["alice@".to_owned()])).collect()
}

fn composed(
    base: &str,
    tag_owners: &BTreeMap<String, Vec<String>>,
    approvals: Option<&Approvals>,
    randomize_client_port: bool,
) -> String {
    let text = compose(&Parts { base, tag_owners, approvals, randomize_client_port });
    let again = compose(&Parts { base: &text, tag_owners, approvals, randomize_client_port });
    assert_eq!(again, text, "what is in it already stays as it is");
    text
}

#[test]
fn what_a_policy_approves_is_kept_where_its_tags_have_owners() {
    let policy = "{\"autoApprovers\": {\"routes\": {\"10.0.0.0/8\": [\"tag:a\", \"tag:gone\"], \
                  \"10.9.0.0/16\": [\"tag:gone\"]}, \"exitNode\": [\"alice@\", \"tag:gone\"]}}";
    let owned = BTreeSet::from(["tag:a".to_owned(), "tag:b".to_owned()]);
    let mut approvals = Approvals::of(&[approver(&[("10.0.0.0/8", &["tag:b"])], &["tag:b"])]);
    approvals.keep(policy, Some(&owned));
    let all =
        Approvals::of(&[approver(&[("10.0.0.0/8", &["tag:a", "tag:b"])], &["alice@", "tag:b"])]);
    assert_eq!(approvals, all);
    for nothing in ["", "[", "{}", "{\"autoApprovers\": []}"] {
        approvals.keep(nothing, None);
        assert_eq!(approvals, all);
    }
}

#[test]
fn a_policy_alone_stays_as_it_is_written() {
    for base in ["{}", "// ours\n{ \"acls\" : [ ], }\n", "{\"acls\": [", "[]", "", "null"] {
        assert_eq!(composed(base, &BTreeMap::new(), None, false), base);
    }
}

#[test]
fn parts_replace_what_they_are_about_and_nothing_else() {
    let base = "{\n\t// who is who\n\t\"tagOwners\": {\"tag:old\": []},\n\t\"acls\": [], // none\n\
                \t\"autoApprovers\": {\"exitNode\": [\"tag:old\"]},\n}\n";
    let approvals = Approvals::of(&[
        approver(&[("10.0.0.0/8", &["tag:b"])], &["tag:e"]),
        approver(&[("10.0.0.0/8", &["tag:a"]), ("fd00::/8", &["tag:a"])], &[]),
    ]);
    let text = composed(base, &owners(&["tag:a", "tag:b", "tag:e"]), Some(&approvals), true);
    assert!(text.contains("// who is who") && text.contains("// none"), "{text}");
    let expected = r#"{
        "tagOwners": {"tag:a": ["alice@"], "tag:b": ["alice@"], "tag:e": ["alice@"]},
        "acls": [],
        "autoApprovers": {
            "routes": {"10.0.0.0/8": ["tag:a", "tag:b"], "fd00::/8": ["tag:a"]},
            "exitNode": ["tag:e"],
        },
        "randomizeClientPort": true,
    }"#;
    assert!(is_same_policy(&text, expected), "{text}");
    let tags = ["tag:a", "tag:b", "tag:e"].map(str::to_owned);
    assert_eq!(owned_tags(&text), Some(tags.into()));
}

#[test]
fn approvers_are_merged_whatever_their_order_and_spelling() {
    let one = approver(&[("10.1.2.3/8", &["tag:a"]), ("FD00:0::/8", &["tag:a"])], &["tag:x"]);
    let other = approver(&[("fd00::/8", &["tag:b"]), ("10.0.0.0/8", &["tag:a"])], &["tag:x"]);
    let merged = Approvals::of([&one, &other]);
    assert_eq!(merged, Approvals::of([&other, &one]));
    let routes: Vec<_> = merged.routes.iter().map(|(cidr, tags)| (&**cidr, tags.len())).collect();
    assert_eq!(routes, [("10.0.0.0/8", 1), ("fd00::/8", 2)]);
    assert_eq!(merged.exit_node.len(), 1);
}

#[test]
fn the_last_approver_takes_its_approvals_along() {
    let base = "{\"acls\": [], \"autoApprovers\": {\"exitNode\": [\"tag:e\"]}}\n";
    let text = composed(base, &BTreeMap::new(), Some(&Approvals::default()), false);
    assert!(is_same_policy(&text, "{\"acls\": []}"), "{text}");
    let text = composed(NOTHING, &BTreeMap::new(), Some(&Approvals::default()), false);
    assert_eq!(text, NOTHING);
}

#[test]
fn a_policy_without_rules_allows_everything_and_one_with_none_of_them_nothing() {
    for text in ["", NOTHING, "null", "{\"tagOwners\": {}}", "{\"acls\": null, /* none */}"] {
        assert!(allows_everything(text), "{text}");
    }
    for text in ["{\"acls\": []}", "{\"ACLs\": []}", "{\"grants\": [], \"acls\": null}", "{", "[]"]
    {
        assert!(!allows_everything(text), "{text}");
    }
}

#[test]
fn an_approver_whose_tags_nobody_owns_does_not_fit() {
    let owned: BTreeSet<String> = ["tag:a".to_owned()].into();
    let reason = |spec: &HeadscaleAutoApproverSpec, owned: Option<&BTreeSet<String>>| {
        unfit(spec, owned).map(|verdict| (verdict.reason, verdict.message))
    };
    assert_eq!(reason(&approver(&[("10.0.0.0/8", &["tag:a"])], &["tag:a"]), Some(&owned)), None);
    let (reason_of, message) =
        reason(&approver(&[("10.0.0.0/8", &["tag:b"])], &["tag:c"]), Some(&owned)).unwrap();
    assert_eq!(reason_of, "TagOwnerMissing");
    assert!(message.contains("tag:b, tag:c") && message.contains("acl_policy"), "{message}");
    // Of a policy that cannot be read it is not known; its own mistakes are told instead.
    assert_eq!(reason(&approver(&[("10.0.0.0/8", &["tag:b"])], &[]), None), None);
    let (reason_of, message) =
        reason(&approver(&[("999.0.0.0/8", &["tag:a"])], &[]), None).unwrap();
    assert_eq!(reason_of, "InvalidSpec");
    assert!(message.contains("spec.routes[0].cidr"), "{message}");
}

#[test]
fn a_document_is_given_where_headscale_has_another() {
    let hash = |text: &str| format!("hash of {text}");
    let declared = "{\"acls\": []}";
    let commented = "{\"acls\": []} // none\n";
    let other = "{\"acls\": [], \"hosts\": {}}";
    let given = |text: &str| Some(hash(text));
    let cases = [
        (Some(declared), None, Step::Keep),
        (Some(declared), given(other), Step::Keep),
        (None, None, Step::Change),
        (Some(""), None, Step::Change),
        (Some(other), None, Step::Change),
        (Some(other), given(other), Step::Change),
        // Somebody else's.
        (Some(other), given(declared), Step::Repair),
        (None, given(declared), Step::Repair),
        // Somebody else's layout is left alone, ours is brought up to date.
        (Some(commented), given(declared), Step::Keep),
        (Some(commented), None, Step::Keep),
        (Some(commented), given(commented), Step::Change),
    ];
    for (running, given, expected) in cases {
        let found = step(declared, running, given.as_deref(), hash);
        assert_eq!(found, expected, "{running:?} {given:?}");
    }
}

#[test]
fn a_change_is_told_as_what_it_makes_of_who_reaches_what() {
    let old = r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
    let new = r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22,80"]}]}"#;
    let diff = reachability(Some(old), new, Version::V0_29).unwrap();
    assert_eq!((&*diff.verdict, diff.added.len(), diff.removed.len()), ("grows", 1, 0));
    let row = &diff.added[0];
    assert_eq!((&*row.kind, &*row.src, row.ports.as_deref()), ("net", "alice@", Some("80")));
    // No policy at all allows everything.
    assert_eq!(reachability(None, old, Version::V0_29).unwrap().verdict, "shrinks");
    assert_eq!(reachability(Some("{"), old, Version::V0_29), None);
    let users: Vec<String> = (0..2000).map(|number| format!("\"user{number}@\"")).collect();
    let many = format!(
        r#"{{"acls": [{{"action": "accept", "src": [{}], "dst": ["bob@:80"]}}]}}"#,
        users.join(",")
    );
    let diff = reachability(Some(old), &many, Version::V0_29).unwrap();
    let row = diff.added.iter().find(|row| row.src.contains("more")).unwrap();
    assert!(row.src.len() < 1100, "{}", row.src.len());
}
