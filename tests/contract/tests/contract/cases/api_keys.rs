//! API keys, on every transport.

use std::collections::HashSet;

use headscale_client::{ApiKeys, ErrorKind, HeadscaleApi as _, Release, UserFilter};
use headscale_keys::{ApiKey, KeyPrefix, ListedApiKey};
use jiff::{SignedDuration, Timestamp};

use crate::cases::assert_refused;
use crate::world::{World, unknown_prefix};

/// What is listed of a key.
async fn listed(api: &impl ApiKeys, key: &ApiKey) -> Option<ListedApiKey> {
    let keys = api.list_api_keys().await.expect("a list");
    keys.into_iter().find(|listed| listed.prefix == *key.prefix())
}

pub(crate) async fn a_key_is_listed_with_its_expiration_to_the_nanosecond(
    api: &impl ApiKeys,
    world: &World,
) {
    let expiration =
        Timestamp::new(world.an_expiration().as_second(), 123_456_789).expect("a time");
    let key = api.create_api_key(expiration).await.expect("a key");
    let listed = listed(api, &key).await.expect("it is listed");
    assert_eq!(listed.expiration, Some(expiration));
    assert!(listed.id > 0);
    assert!(listed.is_valid(Timestamp::now()));
}

pub(crate) async fn a_key_has_the_known_format(api: &impl ApiKeys, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    let text = key.expose();
    assert!(text.starts_with("hskey-api-"));
    assert_eq!((text.len(), key.prefix().as_str().len()), (87, 12));
    if world.release >= Release::V0_30 {
        let is_hexadecimal = |char: char| matches!(char, '0'..='9' | 'a'..='f' | '-');
        assert!(text["hskey-api-".len()..].chars().all(is_hexadecimal));
    }
}

pub(crate) async fn a_far_expiration_is_kept(api: &impl ApiKeys, _: &World) {
    let expiration: Timestamp = "9999-12-30T00:00:00.000001Z".parse().expect("a time");
    let key = api.create_api_key(expiration).await.expect("a key");
    assert_eq!(listed(api, &key).await.expect("it is listed").expiration, Some(expiration));
}

pub(crate) async fn a_past_expiration_is_kept(api: &impl ApiKeys, _: &World) {
    let expiration: Timestamp = "1969-12-31T23:59:59.25Z".parse().expect("a time");
    let key = api.create_api_key(expiration).await.expect("a key");
    let listed = listed(api, &key).await.expect("it is listed");
    assert_eq!(listed.expiration, Some(expiration));
    assert!(!listed.is_valid(Timestamp::now()));
}

pub(crate) async fn keys_of_one_expiration_are_two(api: &impl ApiKeys, world: &World) {
    let expiration = world.an_expiration();
    for _ in 0..2 {
        api.create_api_key(expiration).await.expect("a key");
    }
    let keys = api.list_api_keys().await.expect("a list");
    let same: HashSet<KeyPrefix> = keys
        .into_iter()
        .filter(|key| key.expiration == Some(expiration))
        .map(|key| key.prefix)
        .collect();
    assert_eq!(same.len(), 2);
}

pub(crate) async fn keys_made_at_once_are_all_there(api: &impl ApiKeys, world: &World) {
    let make = || api.create_api_key(world.an_expiration());
    let (first, second, third, fourth) = tokio::join!(make(), make(), make(), make());
    for key in [first, second, third, fourth] {
        assert!(listed(api, &key.expect("a key")).await.is_some());
    }
}

pub(crate) async fn expiring_overwrites_the_expiration(api: &impl ApiKeys, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    let before = Timestamp::now() - SignedDuration::from_secs(2);
    api.expire_api_key(key.prefix()).await.expect("expired");
    let after = Timestamp::now() + SignedDuration::from_secs(2);
    let listed = listed(api, &key).await.expect("it stays listed");
    let expiration = listed.expiration.expect("an expiration");
    assert!(before < expiration && expiration < after, "{expiration}");
    assert_refused(
        world.with_key(Some(&key)).list_users(&UserFilter::All).await,
        ErrorKind::Unauthorized,
    );
}

pub(crate) async fn expiring_twice_is_no_error(api: &impl ApiKeys, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    api.expire_api_key(key.prefix()).await.expect("expired");
    api.expire_api_key(key.prefix()).await.expect("expired again");
}

pub(crate) async fn a_deleted_key_is_not_listed(api: &impl ApiKeys, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    api.delete_api_key(key.prefix()).await.expect("deleted");
    assert_eq!(listed(api, &key).await, None);
    assert!(listed(api, &world.key).await.is_some(), "the others stay");
}

pub(crate) async fn unknown_keys_are_not_found(api: &impl ApiKeys, _: &World) {
    let prefix = unknown_prefix();
    for result in [api.expire_api_key(&prefix).await, api.delete_api_key(&prefix).await] {
        let error = result.expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(!error.may_have_acted(), "{error}");
    }
}

pub(crate) async fn old_prefixes_are_not_found(api: &impl ApiKeys, _: &World) {
    let prefix = KeyPrefix::parse("ab-_123").expect("a prefix");
    assert_refused(api.expire_api_key(&prefix).await, ErrorKind::NotFound);
    assert_refused(api.delete_api_key(&prefix).await, ErrorKind::NotFound);
}

pub(crate) async fn deleting_twice_is_not_found(api: &impl ApiKeys, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    api.delete_api_key(key.prefix()).await.expect("deleted");
    assert_refused(api.delete_api_key(key.prefix()).await, ErrorKind::NotFound);
    assert_refused(api.expire_api_key(key.prefix()).await, ErrorKind::NotFound);
}

pub(crate) async fn what_is_made_opens_the_api(api: &impl ApiKeys, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    let client = world.with_key(Some(&key));
    let keys = client.list_api_keys().await.expect("it is let in");
    assert!(keys.iter().any(|listed| listed.prefix == *key.prefix()));
    client.health().await.expect("healthy");
}
