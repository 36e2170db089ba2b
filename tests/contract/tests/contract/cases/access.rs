//! Who is let in, over TCP.

use headscale_client::{ApiKeys as _, ErrorKind, HeadscaleApi, HttpClient, UserFilter};
use headscale_keys::ApiKey;
use jiff::Timestamp;

use crate::cases::assert_refused;
use crate::world::{World, in_hours};

/// Asserts that a key opens nothing, whatever is asked for.
async fn assert_opens_nothing(world: &World, key: Option<&ApiKey>) {
    let client = world.with_key(key);
    assert_refused(client.list_users(&UserFilter::All).await, ErrorKind::Unauthorized);
    assert_refused(client.create_api_key(in_hours(1)).await, ErrorKind::Unauthorized);
    assert_refused(client.delete_node(1).await, ErrorKind::Unauthorized);
    assert_refused(client.health().await, ErrorKind::Unauthorized);
}

pub(crate) async fn without_a_key_nobody_is_let_in(_: &HttpClient, world: &World) {
    assert_opens_nothing(world, None).await;
}

pub(crate) async fn a_key_that_is_unknown_is_refused(_: &HttpClient, world: &World) {
    let text = format!("hskey-api-{}-{}", "nobody-knows", "0".repeat(64));
    let key = ApiKey::parse(&text).expect("a key");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn a_key_with_another_secret_is_refused(_: &HttpClient, world: &World) {
    let text = format!("hskey-api-{}-{}", world.key.prefix(), "0".repeat(64));
    let key = ApiKey::parse(&text).expect("a key");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn a_key_of_old_format_that_is_unknown_is_refused(_: &HttpClient, world: &World) {
    let key = ApiKey::parse("1234567.abcdefghijklmnopqrstuvwxyz012345").expect("a key");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn an_expired_key_is_refused(api: &HttpClient, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    api.expire_api_key(key.prefix()).await.expect("expired");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn a_key_made_in_the_past_is_refused(api: &HttpClient, world: &World) {
    let expiration = Timestamp::from_second(1).expect("a time");
    let key = api.create_api_key(expiration).await.expect("a key");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn a_deleted_key_is_refused(api: &HttpClient, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    api.delete_api_key(key.prefix()).await.expect("deleted");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn a_key_can_delete_itself(api: &HttpClient, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    world.with_key(Some(&key)).delete_api_key(key.prefix()).await.expect("deleted");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn a_key_can_expire_itself(api: &HttpClient, world: &World) {
    let key = api.create_api_key(world.an_expiration()).await.expect("a key");
    world.with_key(Some(&key)).expire_api_key(key.prefix()).await.expect("expired");
    assert_opens_nothing(world, Some(&key)).await;
}

pub(crate) async fn the_version_needs_no_key(_: &HttpClient, world: &World) {
    let version = world.with_key(None).version().await.expect("a version");
    assert_eq!(version.release, world.release);
}

pub(crate) async fn the_version_is_told(api: &impl HeadscaleApi, world: &World) {
    assert_eq!(api.version().await.expect("a version").release, world.release);
}

pub(crate) async fn health_is_good(api: &impl HeadscaleApi, _: &World) {
    api.health().await.expect("healthy");
}
