//! Pre-auth keys.

use headscale_client::{ErrorKind, HeadscaleApi, NewPreAuthKey, PreAuthKey, Release};
use jiff::{SignedDuration, Timestamp};

use crate::cases::assert_refused;
use crate::cases::users::a_user;
use crate::world::World;

/// A number that no key and no user has.
const NOTHING: u64 = 4_000_000;

async fn listed(api: &impl HeadscaleApi, id: u64) -> Option<PreAuthKey> {
    let keys = api.list_preauth_keys().await.expect("a list");
    assert!(keys.is_sorted_by_key(|key| key.id));
    keys.into_iter().find(|key| key.id == id)
}

pub(crate) async fn a_key_of_a_user_is_listed(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    let new = NewPreAuthKey {
        reusable: true,
        ephemeral: true,
        ..NewPreAuthKey::of_user(user.id, world.an_expiration())
    };
    let made = api.create_preauth_key(&new).await.expect("a key");
    assert_eq!(made.key.prefix(), made.details.prefix.as_ref());
    let listed = listed(api, made.details.id).await.expect("it is listed");
    assert_eq!(listed, PreAuthKey { used: false, ..made.details });
    assert_eq!(listed.user, Some(user));
    assert!(listed.reusable && listed.ephemeral && listed.acl_tags.is_empty());
    let age = Timestamp::now().duration_since(listed.created_at.expect("a time"));
    assert!(age.abs() < SignedDuration::from_secs(60), "{age}");
}

pub(crate) async fn a_tagged_key_is_of_nobody(api: &impl HeadscaleApi, world: &World) {
    let new = NewPreAuthKey::tagged(["tag:web", "tag:db", "tag:web"], world.an_expiration());
    let made = api.create_preauth_key(&new).await.expect("a key");
    let listed = listed(api, made.details.id).await.expect("it is listed");
    assert_eq!(listed.user, None);
    assert_eq!(listed.acl_tags, ["tag:db", "tag:web"]);
    assert!(!listed.reusable && !listed.ephemeral && !listed.used);
}

pub(crate) async fn a_key_has_the_known_format(api: &impl HeadscaleApi, world: &World) {
    let new = NewPreAuthKey::tagged(["tag:web"], world.an_expiration());
    let made = api.create_preauth_key(&new).await.expect("a key");
    assert!(made.key.expose().starts_with("hskey-auth-"));
    assert_eq!(made.key.expose().len(), 88);
    assert!(made.key.prefix().is_some());
    assert!(!format!("{made:?}").contains(&made.key.expose()[30..]));
}

pub(crate) async fn expirations_are_kept_to_the_nanosecond(api: &impl HeadscaleApi, world: &World) {
    let expiration =
        Timestamp::new(world.an_expiration().as_second(), 987_654_321).expect("a time");
    let new = NewPreAuthKey::tagged(["tag:web"], expiration);
    let made = api.create_preauth_key(&new).await.expect("a key");
    assert_eq!(made.details.expiration, Some(expiration));
    let listed = listed(api, made.details.id).await.expect("it is listed");
    assert_eq!(listed.expiration, Some(expiration));
}

pub(crate) async fn a_key_needs_a_user_or_tags(api: &impl HeadscaleApi, world: &World) {
    let nothing: [&str; 0] = [];
    let new = NewPreAuthKey::tagged(nothing, world.an_expiration());
    assert_refused(api.create_preauth_key(&new).await, ErrorKind::Invalid);
}

pub(crate) async fn a_user_must_be_there(api: &impl HeadscaleApi, world: &World) {
    let new = NewPreAuthKey::of_user(NOTHING, world.an_expiration());
    assert_refused(api.create_preauth_key(&new).await, ErrorKind::NotFound);
}

pub(crate) async fn tags_have_a_form(api: &impl HeadscaleApi, world: &World) {
    for tag in ["web", "tag:Web", "tag:a web"] {
        let new = NewPreAuthKey::tagged([tag], world.an_expiration());
        assert_refused(api.create_preauth_key(&new).await, ErrorKind::Invalid);
    }
}

pub(crate) async fn expiring_overwrites_the_expiration(api: &impl HeadscaleApi, world: &World) {
    let new = NewPreAuthKey::tagged(["tag:web"], world.an_expiration());
    let made = api.create_preauth_key(&new).await.expect("a key");
    api.expire_preauth_key(made.details.id).await.expect("expired");
    let listed = listed(api, made.details.id).await.expect("it stays listed");
    let age = Timestamp::now().duration_since(listed.expiration.expect("a time"));
    assert!(age.abs() < SignedDuration::from_secs(60), "{age}");
}

pub(crate) async fn a_deleted_key_is_not_listed(api: &impl HeadscaleApi, world: &World) {
    let new = NewPreAuthKey::tagged(["tag:web"], world.an_expiration());
    let made = api.create_preauth_key(&new).await.expect("a key");
    api.delete_preauth_key(made.details.id).await.expect("deleted");
    assert_eq!(listed(api, made.details.id).await, None);
}

pub(crate) async fn unknown_keys_are_told_since_0_30(api: &impl HeadscaleApi, world: &World) {
    if world.release >= Release::V0_30 {
        assert_refused(api.expire_preauth_key(NOTHING).await, ErrorKind::NotFound);
        assert_refused(api.delete_preauth_key(NOTHING).await, ErrorKind::NotFound);
    } else {
        api.expire_preauth_key(NOTHING).await.expect("0.28 and 0.29 do not say it");
        api.delete_preauth_key(NOTHING).await.expect("0.28 and 0.29 do not say it");
    }
}

pub(crate) async fn a_deleted_user_takes_its_keys(api: &impl HeadscaleApi, world: &World) {
    let (one, other) = (a_user(api, world).await, a_user(api, world).await);
    let make = async |user| {
        let new = NewPreAuthKey::of_user(user, world.an_expiration());
        api.create_preauth_key(&new).await.expect("a key").details.id
    };
    let (its, another) = (make(one.id).await, make(other.id).await);
    api.delete_user(one.id).await.expect("deleted");
    assert_eq!(listed(api, its).await, None);
    // 0.28.0 deletes the keys of everybody.
    let stays = world.release >= Release::V0_29;
    assert_eq!(listed(api, another).await.is_some(), stays);
}
