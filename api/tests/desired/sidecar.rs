//! The command lines of our own program.

use std::ffi::OsString;

use headscale_sidecar::cli;
use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use serde_json::Value;

use crate::cases::{Case, cases, named};

fn pod(case: &str) -> Value {
    pod_of(&named(case))
}

fn pod_of(case: &Case) -> Value {
    let objects = case.objects();
    let set = objects.iter().find(|object| object.kind() == "StatefulSet").expect("a server");
    set.to_value()["spec"]["template"]["spec"].clone()
}

fn arguments(container: &Value) -> Vec<String> {
    let all = container["args"].as_array().expect("arguments");
    all.iter().map(|argument| argument.as_str().expect("text").to_owned()).collect()
}

#[test]
fn the_program_takes_the_arguments_that_it_is_given() {
    for case in cases() {
        let pod = pod(&case.name);
        let lists = [&pod["containers"], &pod["initContainers"]];
        let containers = lists.into_iter().filter_map(Value::as_array).flatten();
        for container in containers.filter(|container| container["name"] != "headscale") {
            let program = std::iter::once("headscale-sidecar".to_owned());
            let line = program.chain(arguments(container)).map(OsString::from);
            let read = cli::parse(line);
            assert!(read.is_ok(), "{}: {}", case.name, read.expect_err("checked"));
        }
    }
}

#[test]
fn a_short_life_of_keys_has_a_buffer_that_fits() {
    let container = &pod("full")["containers"][1];
    let arguments = arguments(container);
    assert!(arguments.contains(&"--expiration=720h".to_owned()), "{arguments:?}");
    // Eight ninths, as 1920h are of 2160h.
    assert!(arguments.contains(&"--rotation-buffer=2304000s".to_owned()), "{arguments:?}");
}

#[test]
fn a_buffer_that_is_not_given_is_less_than_any_life() {
    let cases = [
        ("30m", "1600s"),
        ("0.5h", "1600s"),
        ("1.5h", "4800s"),
        ("1h30m", "4800s"),
        ("1920h", "6144000s"),
        ("1921h", "1920h"),
    ];
    for (life, buffer) in cases {
        let mut case = named("minimal");
        case.headscale.spec.api_key.get_or_insert_default().expiration = Some(life.to_owned());
        let arguments = arguments(&pod_of(&case)["containers"][1]);
        assert!(arguments.contains(&format!("--rotation-buffer={buffer}")), "{arguments:?}");
    }
}

#[test]
fn the_go_operators_own_program_gets_no_flags_of_ours() {
    let pod = pod("go-sidecar");
    let names: Vec<String> = arguments(&pod["containers"][1])
        .iter()
        .map(|argument| argument.split('=').next().expect("a name").to_owned())
        .collect();
    let go = ["--socket-path", "--secret-name", "--expiration", "--rotation-buffer"];
    assert_eq!(names, go);
    assert_eq!(pod["initContainers"][0]["image"], "registry.example/sidecar:release");
}

#[test]
fn the_folder_of_the_socket_is_shared_wherever_it_is() {
    let cases = [
        ("/var/run/headscale/headscale.sock", "/var/run/headscale", "socket"),
        ("/run/hs/x.sock", "/run/hs", "socket"),
        ("/tmp/x.sock", "/tmp", "headscale-tmp"),
        ("/var/lib/headscale/x.sock", "/var/lib/headscale", "data"),
        ("/srv/mine/x.sock", "/srv/mine", "mine"),
        // What cannot be is as if it were not said.
        ("x.sock", "/var/run/headscale", "socket"),
        ("/x.sock", "/var/run/headscale", "socket"),
    ];
    for (socket, folder, volume) in cases {
        let mut case = named("minimal");
        let spec = &mut case.headscale.spec;
        spec.config
            .as_mut()
            .expect("a configuration")
            .insert("unix_socket".to_owned(), socket.into());
        spec.extra_volumes.push(Volume { name: "mine".to_owned(), ..Volume::default() });
        let mount = VolumeMount {
            name: "mine".to_owned(),
            mount_path: "/srv/mine/".to_owned(),
            ..VolumeMount::default()
        };
        spec.extra_volume_mounts.push(mount);
        let pod = pod_of(&case);
        for container in pod["containers"].as_array().expect("containers") {
            let mounts = container["volumeMounts"].as_array().expect("mounts").iter();
            let there: Vec<&Value> = mounts
                .filter(|mount| {
                    let path = mount["mountPath"].as_str().expect("a path");
                    path.trim_end_matches('/') == folder
                })
                .map(|mount| &mount["name"])
                .collect();
            assert_eq!(there, [volume], "{socket} in {}", container["name"]);
        }
    }
}
