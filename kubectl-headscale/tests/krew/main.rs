//! The real krew installs, upgrades and removes the real program, and kubectl runs it in between:
//! offline, from archives and a manifest made as those of a release are.

#![cfg(unix)]

#[expect(clippy::unwrap_used, reason = "a test whose server does not start fails")]
mod server;
#[expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test whose machine cannot be set up fails"
)]
mod world;

use std::fs;

use world::World;

/// How many platforms releases are made for.
const PLATFORMS: usize = headscale_krew::PLATFORMS.len();

#[test]
fn what_the_index_of_krew_checks_holds() {
    let Some(world) = World::new() else { return };
    let manifest = world.release("v1.0.0");
    let told = world.success("validate-krew-manifest", &["-manifest", &manifest]);
    assert!(told.contains(&format!("all {PLATFORMS} spec.platforms installed fine")), "{told}");
}

#[test]
fn the_plugin_lives_with_an_index_from_installation_to_removal() {
    let Some(world) = World::new() else { return };
    world.release("v1.0.0");
    world.publish();
    world.krew(&["index", "add", "hs", &world.text("index")]);
    let told = world.krew(&["install", "hs/headscale"]);
    assert!(told.contains("Installed plugin: headscale"), "{told}");
    assert!(told.contains("kubectl headscale completion install"), "the caveats: {told}");
    assert!(world.installed().contains("v1.0.0"));
    assert_runs(&world);

    world.kubectl(&["headscale", "completion", "install"]);
    assert_completes(&world);

    world.release("v1.1.0");
    world.publish();
    world.krew(&["update"]);
    let told = world.krew(&["upgrade"]);
    assert!(told.contains("Upgraded plugin: hs/headscale"), "{told}");
    assert!(world.installed().contains("v1.1.0"));
    assert_runs(&world);
    assert_completes(&world);

    world.krew(&["uninstall", "headscale"]);
    let (ok, told) = world.run("kubectl", &["headscale", "version"]);
    assert!(!ok, "{told}");
    // The link leads nowhere now, which kubectl takes for none.
    let (ok, told) = world.run("kubectl", &["__complete", "headscale", "policy", ""]);
    assert!(ok && !told.contains("check\t"), "{told}");
}

#[test]
fn completion_is_taken_away_again() {
    let Some(world) = World::new() else { return };
    let manifest = world.release("v1.0.0");
    world.krew(&["install", "--manifest", &manifest, "--archive", &world.archive("v1.0.0")]);
    world.kubectl(&["headscale", "completion", "install"]);
    assert_completes(&world);
    world.kubectl(&["headscale", "completion", "uninstall"]);
    let left: Vec<_> = fs::read_dir(world.path("krew/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["kubectl-headscale"]);
}

#[test]
fn a_manifest_and_an_archive_are_enough() {
    let Some(world) = World::new() else { return };
    let manifest = world.release("v1.0.0");
    world.krew(&["install", "--manifest", &manifest, "--archive", &world.archive("v1.0.0")]);
    assert_runs(&world);
}

#[test]
fn the_address_of_a_manifest_is_enough() {
    let Some(world) = World::new() else { return };
    world.release("v1.0.0");
    // Without any index krew adds its own first, from the internet.
    world.publish();
    world.krew(&["index", "add", "hs", &world.text("index")]);
    world.krew(&["install", "--manifest-url", &world.url("headscale.yaml")]);
    assert_runs(&world);
}

#[test]
fn an_archive_that_was_changed_is_not_installed() {
    let Some(world) = World::new() else { return };
    let manifest = world.release("v1.0.0");
    let archive = world.archive("v1.0.0");
    let mut bytes = fs::read(&archive).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&archive, bytes).unwrap();
    for arguments in
        [&["--manifest", &manifest][..], &["--manifest", &manifest, "--archive", &archive]]
    {
        let (ok, told) = world.run("krew", &[&["install"], arguments].concat());
        assert!(!ok && told.contains("checksum does not match"), "{told}");
        assert!(!world.path("krew/bin/kubectl-headscale").exists());
    }
}

/// The plugin runs through kubectl, and sees the files of the folder that kubectl was started in.
#[track_caller]
fn assert_runs(world: &World) {
    let told = world.kubectl(&["headscale", "version"]);
    assert!(told.contains(env!("CARGO_PKG_VERSION")), "{told}");
    let policy = "examples/keystone/policy-0.29.hujson";
    let told = world.kubectl(&["headscale", "policy", "check", policy]);
    assert!(told.starts_with(&format!("{policy}: ok\n")), "{told}");
}

/// kubectl has the plugin complete what comes after its name.
#[track_caller]
fn assert_completes(world: &World) {
    let told = world.kubectl(&["__complete", "headscale", "policy", ""]);
    assert!(told.contains("check\t") && told.contains("\n:4\n"), "{told}");
}
