//! Users.

use headscale_client::{ErrorKind, HeadscaleApi, NewUser, User, UserFilter};
use jiff::{SignedDuration, Timestamp};

use crate::cases::nodes::a_node;
use crate::cases::{assert_kind, assert_refused};
use crate::world::World;

/// A number that no user has.
const NOBODY: u64 = 4_000_000;

pub(crate) async fn a_user(api: &impl HeadscaleApi, world: &World) -> User {
    api.create_user(&NewUser::named(&world.a_name())).await.expect("a user")
}

async fn by(api: &impl HeadscaleApi, filter: UserFilter) -> Vec<User> {
    api.list_users(&filter).await.expect("a list")
}

pub(crate) async fn a_user_is_listed(api: &impl HeadscaleApi, world: &World) {
    let name = world.a_name();
    let new = NewUser {
        name: name.clone(),
        display_name: "A Name, for people".to_owned(),
        email: format!("{name}@example.com"),
        picture_url: "https://example.com/a.png".to_owned(),
    };
    let user = api.create_user(&new).await.expect("a user");
    assert_eq!((&user.name, &user.display_name), (&new.name, &new.display_name));
    assert_eq!((&user.email, &user.profile_picture_url), (&new.email, &new.picture_url));
    assert!(user.id > 0 && user.provider.is_empty() && user.provider_id.is_empty());
    let age = Timestamp::now().duration_since(user.created_at.expect("a time"));
    assert!(age.abs() < SignedDuration::from_secs(60), "{age}");

    let all = by(api, UserFilter::All).await;
    assert!(all.contains(&user));
    assert!(all.is_sorted_by_key(|user| user.id));
}

pub(crate) async fn filters_let_through_what_they_say(api: &impl HeadscaleApi, world: &World) {
    let name = world.a_name();
    let email = format!("{name}+tag@example.com");
    let new = NewUser { email: email.clone(), ..NewUser::named(&name) };
    let user = api.create_user(&new).await.expect("a user");
    a_user(api, world).await;
    for filter in [UserFilter::Id(user.id), UserFilter::Name(name), UserFilter::Email(email)] {
        assert_eq!(by(api, filter).await, std::slice::from_ref(&user));
    }
}

pub(crate) async fn unknown_users_are_no_error(api: &impl HeadscaleApi, _: &World) {
    let nobody = "nobody@example.com".to_owned();
    for filter in
        [UserFilter::Id(NOBODY), UserFilter::Name(nobody.clone()), UserFilter::Email(nobody)]
    {
        assert_eq!(by(api, filter).await, []);
    }
}

pub(crate) async fn a_name_is_taken_once(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    let again = api.create_user(&NewUser::named(&user.name)).await;
    assert_kind(again, ErrorKind::AlreadyExists);
    assert_eq!(by(api, UserFilter::Name(user.name.clone())).await, [user]);
}

/// Names that somebody may have, or try.
fn odd_names(world: &World) -> Vec<String> {
    let odd = ["", " ", "#", "?x=1&y", "%41", "ü-日本", "a@b.example", "+", "\"", "\\", "..", "*"];
    odd.iter().map(|odd| format!("{} {odd}", world.a_name())).collect()
}

pub(crate) async fn names_are_what_they_are(api: &impl HeadscaleApi, world: &World) {
    for name in odd_names(world).into_iter().chain([format!("{}/slash", world.a_name())]) {
        let user = api.create_user(&NewUser::named(&name)).await.expect("a user");
        assert_eq!(user.name, name);
        assert_eq!(by(api, UserFilter::Name(name)).await, [user]);
    }
}

pub(crate) async fn a_long_name_is_kept(api: &impl HeadscaleApi, world: &World) {
    let name = format!("{}-{}", world.a_name(), "x".repeat(300));
    let user = api.create_user(&NewUser::named(&name)).await.expect("a user");
    assert_eq!(user.name, name);
}

pub(crate) async fn a_user_is_renamed(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    let name = world.a_name();
    let renamed = api.rename_user(user.id, &name).await.expect("renamed");
    assert_eq!((renamed.id, &renamed.name), (user.id, &name));
    assert_eq!(by(api, UserFilter::Name(user.name)).await, []);
    assert_eq!(by(api, UserFilter::Id(user.id)).await, [renamed]);
}

pub(crate) async fn names_in_paths_are_what_they_are(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    for name in odd_names(world) {
        let renamed = api.rename_user(user.id, &name).await.expect("renamed");
        assert_eq!(renamed.name, name);
        assert_eq!(by(api, UserFilter::Id(user.id)).await, [renamed]);
    }
}

pub(crate) async fn a_taken_name_is_not_given_again(api: &impl HeadscaleApi, world: &World) {
    let (one, other) = (a_user(api, world).await, a_user(api, world).await);
    assert_kind(api.rename_user(one.id, &other.name).await, ErrorKind::AlreadyExists);
    assert_eq!(by(api, UserFilter::Id(one.id)).await, [one]);
}

pub(crate) async fn names_that_no_path_has_are_refused(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    for name in ["", ".", "..", "a/b"] {
        assert_refused(api.rename_user(user.id, name).await, ErrorKind::Invalid);
    }
    assert_eq!(by(api, UserFilter::Id(user.id)).await, [user]);
}

pub(crate) async fn unknown_users_are_not_found(api: &impl HeadscaleApi, world: &World) {
    assert_refused(api.rename_user(NOBODY, &world.a_name()).await, ErrorKind::NotFound);
    assert_refused(api.delete_user(NOBODY).await, ErrorKind::NotFound);
}

pub(crate) async fn a_user_with_nodes_stays(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    let node = a_node(api, world, &user).await;
    assert_refused(api.delete_user(user.id).await, ErrorKind::Invalid);
    assert_eq!(by(api, UserFilter::Id(user.id)).await, std::slice::from_ref(&user));
    api.delete_node(node.id).await.expect("deleted");
    api.delete_user(user.id).await.expect("deleted");
}

pub(crate) async fn a_deleted_user_is_gone(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    api.delete_user(user.id).await.expect("deleted");
    assert_eq!(by(api, UserFilter::Id(user.id)).await, []);
    assert_refused(api.delete_user(user.id).await, ErrorKind::NotFound);
    // The name is free again.
    let again = api.create_user(&NewUser::named(&user.name)).await.expect("a user");
    assert_ne!(again.id, user.id);
}
