//! One suite, and whatever claims to be Headscale held against it.

mod cases;
mod raw;
mod report;
mod servers;
mod transcript;
mod world;

use headscale_client::Release;
use servers::{Server, real, standin};
use world::World;

/// Runs everything against a server that has just started and is empty.
async fn hold(server: impl Server + 'static) {
    let mut world = World::new(Box::new(server)).await;
    transcript::hold(&world).await;
    // It left users and keys behind.
    world = world.emptied().await;
    let report = cases::hold(&mut world).await;
    report.tell_and_assert(&world.name());
}

#[tokio::test]
async fn the_stand_in_is_headscale_0_28() {
    hold(standin::StandInServer::start(Release::V0_28).await).await;
}

#[tokio::test]
async fn the_stand_in_is_headscale_0_29() {
    hold(standin::StandInServer::start(Release::V0_29).await).await;
}

#[tokio::test]
async fn the_stand_in_is_headscale_0_30() {
    hold(standin::StandInServer::start(Release::V0_30).await).await;
}

#[tokio::test]
async fn real_servers_do_what_the_suite_says() {
    for program in headscale_testkit::headscale::programs() {
        hold(real::RealServer::start(program)).await;
    }
}
