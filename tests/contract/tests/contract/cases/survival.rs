//! What outlives a server.

use headscale_client::{
    ApiKeys as _, HeadscaleApi as _, NewPreAuthKey, SocketTransport, UserFilter,
};
use jiff::Timestamp;

use crate::cases::nodes::a_node;
use crate::cases::users::a_user;
use crate::world::World;

/// Also the clients, whose connections are lost.
pub(crate) async fn what_is_stored_survives_a_kill(world: &mut World) {
    let expiration = Timestamp::new(world.an_expiration().as_second(), 1).expect("a time");
    let key = world.socket.create_api_key(expiration).await.expect("a key");
    let user = a_user(&world.http, world).await;
    let node = a_node(&world.http, world, &user).await;
    let new = NewPreAuthKey::of_user(user.id, expiration);
    let preauth_key = world.http.create_preauth_key(&new).await.expect("a key").details;
    world.http.set_policy("{}").await.expect("a policy");

    world.kill_and_start().await;

    // A connection that is known to be lost is replaced before anything is sent.
    let keys = world.socket.list_api_keys().await.expect("a list");
    let listed = keys.iter().find(|listed| listed.prefix == *key.prefix()).expect("it is there");
    assert_eq!(listed.expiration, Some(expiration));
    assert!(world.with_key(Some(&key)).health().await.is_ok());
    let users = world.http.list_users(&UserFilter::Id(user.id)).await.expect("a list");
    assert_eq!(users, [user]);
    let again = world.http.get_node(node.id).await.expect("a node");
    assert_eq!((again.name, again.ip_addresses), (node.name, node.ip_addresses));
    let preauth_keys = world.http.list_preauth_keys().await.expect("a list");
    assert!(preauth_keys.contains(&preauth_key));
    assert_eq!(world.http.policy().await.expect("an answer").expect("a policy").text, "{}");
    let transport = world.socket.transport().await.expect("a transport");
    assert_eq!(transport == SocketTransport::Http, world.http_on_socket().is_some());

    world.kill_and_start().await;
    // Also where it must not be sent twice.
    world.socket.create_api_key(world.an_expiration()).await.expect("a key");
}
