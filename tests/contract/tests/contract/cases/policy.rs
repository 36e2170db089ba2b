//! The policy, of which a server has one.

use headscale_client::{ErrorKind, HeadscaleApi, Release};
use jiff::{SignedDuration, Timestamp};

use crate::cases::{assert_kind, assert_refused};
use crate::world::World;

const GOOD: &str = "// A comment.\n{\n\t\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]},],\n}\n";

pub(crate) async fn there_is_none_at_first(api: &impl HeadscaleApi) {
    assert_eq!(api.policy().await.expect("an answer"), None);
}

pub(crate) async fn a_policy_is_kept_verbatim(api: &impl HeadscaleApi, _: &World) {
    let set = api.set_policy(GOOD).await.expect("a policy");
    assert_eq!(set.text, GOOD);
    let age = Timestamp::now().duration_since(set.updated_at.expect("a time"));
    assert!(age.abs() < SignedDuration::from_secs(60), "{age}");
    assert_eq!(api.policy().await.expect("an answer").expect("a policy").text, GOOD);
}

/// What no version takes.
const BAD: &[&str] = &[
    "",
    "{",
    "[]",
    r#"{"aclz": []}"#,
    r#"{"acls": [{"action": "accept", "src": ["group:nobody"], "dst": ["*:*"]}]}"#,
    r#"{"acls": [{"action": "accept", "src": ["user-not-found"], "dst": ["*:*"]}]}"#,
];

pub(crate) async fn a_bad_policy_is_refused_and_the_old_one_stays(
    api: &impl HeadscaleApi,
    _: &World,
) {
    api.set_policy(GOOD).await.expect("a policy");
    // An empty one is taken for none, by mistake of theirs.
    for bad in &BAD[1..] {
        assert_refused(api.set_policy(bad).await, ErrorKind::Invalid);
    }
    assert_eq!(api.policy().await.expect("an answer").expect("a policy").text, GOOD);
}

pub(crate) async fn a_policy_is_checked(api: &impl HeadscaleApi, world: &World) {
    api.set_policy("{}").await.expect("a policy");
    if world.release < Release::V0_29 {
        assert_refused(api.check_policy(GOOD).await, ErrorKind::Unsupported);
        return;
    }
    api.check_policy(GOOD).await.expect("it is good");
    for bad in &BAD[1..] {
        assert_kind(api.check_policy(bad).await, ErrorKind::Invalid);
    }
    assert_eq!(api.policy().await.expect("an answer").expect("a policy").text, "{}");
}

pub(crate) async fn a_policy_of_unknown_users_is_taken(api: &impl HeadscaleApi, _: &World) {
    let text = r#"{"groups": {"group:ghosts": ["ghost@"]}, "acls": [{"action": "accept", "src": ["group:ghosts"], "dst": ["ghost@:22"]}]}"#;
    api.set_policy(text).await.expect("a policy");
    api.set_policy("{}").await.expect("a policy");
}

pub(crate) async fn a_large_policy_is_kept(api: &impl HeadscaleApi, world: &World) {
    let of = |size: usize| format!("{{}}\n//{}\n", "x".repeat(size));
    let large = of(900_000);
    api.set_policy(&large).await.expect("a policy");
    assert_eq!(api.policy().await.expect("an answer").expect("a policy").text, large);
    // 0.30 takes up to 1 MiB, the others 4.
    let larger = of(1_200_000);
    let result = api.set_policy(&larger).await;
    if world.release >= Release::V0_30 {
        assert_refused(result, ErrorKind::Invalid);
    } else {
        assert_eq!(result.expect("a policy").text, larger);
    }
    api.set_policy("{}").await.expect("a policy");
}
