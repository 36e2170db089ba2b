//! What must hold, as functions that panic where it does not.

mod access;
mod api_keys;
mod nodes;
mod policy;
mod preauth_keys;
mod survival;
mod users;

use headscale_client::{ApiKeys, Error, ErrorKind, HeadscaleApi, SocketTransport};

use crate::report::Report;
use crate::world::World;

/// Runs cases one after the other: each with the client and the world.
macro_rules! run {
    ($report:expr, $transport:expr, $client:expr, $world:expr; $($module:ident: $($case:ident),+);+ $(;)?) => {
        $($(
            let name = concat!(stringify!($module), "::", stringify!($case));
            $report.run(&format!("{} {name}", $transport), $module::$case($client, $world)).await;
        )+)+
    };
}

/// Everything. Cases get along with one another, but for the policy, of which there is one.
pub(crate) async fn hold(world: &mut World) -> Report {
    let mut report = Report::default();
    report.run("no policy", policy::there_is_none_at_first(&world.http)).await;
    report.run("transport", transport(world)).await;

    api_keys(&mut report, "TCP", &world.http.clone(), world).await;
    api_keys(&mut report, "socket", &world.socket.clone(), world).await;
    api(&mut report, "TCP", &world.http.clone(), world).await;
    if let Some(client) = world.http_on_socket() {
        api_keys(&mut report, "HTTP socket", &client, world).await;
        api(&mut report, "HTTP socket", &client, world).await;
    }
    access(&mut report, world).await;
    report.run("survival", survival::what_is_stored_survives_a_kill(world)).await;
    report
}

async fn transport(world: &World) {
    let expected = match world.http_on_socket() {
        Some(_) => SocketTransport::Http,
        None => SocketTransport::Grpc,
    };
    assert_eq!(world.socket.transport().await.expect("a socket"), expected);
}

async fn access(report: &mut Report, world: &World) {
    let client = &world.http;
    run! { report, "TCP", client, world;
        access: without_a_key_nobody_is_let_in, a_key_that_is_unknown_is_refused,
            a_key_with_another_secret_is_refused, a_key_of_old_format_that_is_unknown_is_refused,
            an_expired_key_is_refused, a_key_made_in_the_past_is_refused, a_deleted_key_is_refused,
            a_key_can_delete_itself, a_key_can_expire_itself, the_version_needs_no_key;
    }
}

async fn api_keys(report: &mut Report, transport: &str, client: &impl ApiKeys, world: &World) {
    run! { report, transport, client, world;
        api_keys: a_key_is_listed_with_its_expiration_to_the_nanosecond, a_key_has_the_known_format,
            a_far_expiration_is_kept, a_past_expiration_is_kept, keys_of_one_expiration_are_two,
            keys_made_at_once_are_all_there, expiring_overwrites_the_expiration,
            expiring_twice_is_no_error, a_deleted_key_is_not_listed, unknown_keys_are_not_found,
            old_prefixes_are_not_found, deleting_twice_is_not_found, what_is_made_opens_the_api;
    }
}

async fn api(report: &mut Report, transport: &str, client: &impl HeadscaleApi, world: &World) {
    run! { report, transport, client, world;
        access: the_version_is_told, health_is_good;
        users: a_user_is_listed, filters_let_through_what_they_say, unknown_users_are_no_error,
            a_name_is_taken_once, names_are_what_they_are, a_long_name_is_kept,
            a_user_is_renamed, names_in_paths_are_what_they_are, a_taken_name_is_not_given_again,
            names_that_no_path_has_are_refused, unknown_users_are_not_found,
            a_user_with_nodes_stays, a_deleted_user_is_gone;
        preauth_keys: a_key_of_a_user_is_listed, a_tagged_key_is_of_nobody,
            a_key_has_the_known_format, expirations_are_kept_to_the_nanosecond,
            a_key_needs_a_user_or_tags, a_user_must_be_there, tags_have_a_form,
            expiring_overwrites_the_expiration, a_deleted_key_is_not_listed,
            unknown_keys_are_told_since_0_30, a_deleted_user_takes_its_keys;
        nodes: a_registered_node_is_listed, nodes_are_listed_by_user, nodes_of_nobody_are_none,
            nodes_of_unknown_users_are_not_found, unknown_nodes_are_not_found,
            an_unknown_registration_is_not_found, a_registration_has_a_form,
            a_registration_needs_a_user, a_made_up_node_needs_a_user, a_node_expires_now,
            a_node_expires_then, a_node_expires_never, a_node_is_renamed, a_name_is_a_label,
            routes_are_approved, default_routes_are_both, routes_are_prefixes,
            tags_need_an_owner, tags_are_never_none, a_tagged_node_is_of_nobody, a_deleted_node_is_gone;
        policy: a_policy_is_kept_verbatim, a_bad_policy_is_refused_and_the_old_one_stays,
            a_policy_is_checked, a_policy_of_unknown_users_is_taken, a_large_policy_is_kept;
    }
}

/// The error of a call that must fail.
fn error<T: std::fmt::Debug>(result: Result<T, Error>) -> Error {
    result.expect_err("this must fail")
}

/// Asserts that a call failed in a way that says that nothing was done.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) {
    let error = error(result);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(!error.may_have_acted(), "{error}");
}

/// Asserts that a call failed as Headscale says it, with 500 where it is not sure of itself.
#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) {
    let error = error(result);
    assert_eq!(error.kind(), kind, "{error}");
}
