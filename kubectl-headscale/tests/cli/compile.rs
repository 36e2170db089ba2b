//! `policy compile`

use std::io::Read as _;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

const POLICY: &str = r#"{
	"acls": [{"action": "accept", "proto": "tcp", "src": ["alice@"], "dst": ["bob@:22"]}],
}
"#;

const TAILNET: &str = r#"
users:
  - {id: 1, name: alice}
  - {id: 2, name: bob}
nodes:
  - {id: 1, name: laptop, user: {id: 1}, ipAddresses: [100.64.0.1]}
  - {id: 2, name: server, user: {id: 2}, ipAddresses: [100.64.0.2]}
"#;

const LAPTOP: [&str; 6] = ["--node", "laptop", "-o", "yaml", "--headscale-version", "0.28"];

#[test]
fn every_node_is_told_what_headscale_would_send() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", POLICY);
    env.write("tailnet.yaml", TAILNET);
    let compile = |args: &[&str]| {
        let common = ["policy", "compile", "policy.hujson", "--tailnet", "tailnet.yaml"];
        env.run(&[&common, args].concat())
    };
    let all: serde_json::Value = serde_json::from_str(&compile(&[]).success()).unwrap();
    assert_eq!(all["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(all["headscaleVersion"], "0.29");
    assert_eq!(all.get("symbolic"), None);
    assert_snapshot!(compile(&["--node", "server"]), @r#"
    exit: 0
    --- stdout
    {
      "headscaleVersion": "0.29",
      "nodes": [
        {
          "id": "2",
          "name": "server",
          "packetFilter": [
            {
              "SrcIPs": [
                "100.64.0.1"
              ],
              "DstPorts": [
                {
                  "IP": "100.64.0.2",
                  "Ports": {
                    "First": 22,
                    "Last": 22
                  }
                }
              ],
              "IPProto": [
                6
              ]
            }
          ],
          "peers": [
            "1"
          ],
          "peerRoutes": {},
          "sshPolicy": null,
          "autoApproved": [],
          "capMap": {}
        }
      ]
    }
    "#);
    assert_snapshot!(compile(&LAPTOP), @r#"
    exit: 0
    --- stdout
    headscaleVersion: "0.28"
    nodes:
    - id: "1"
      name: laptop
      packetFilter: []
      peers:
      - "2"
      peerRoutes: {}
      sshPolicy: null
      autoApproved: []
      capMap: {}
    "#);
    let by_id = compile(&["--node", "1", "-o", "yaml", "--headscale-version", "0.28"]);
    assert_eq!(by_id.success(), compile(&LAPTOP).success());
    assert_snapshot!(compile(&["--node", "sever"]), @r#"
    exit: 2
    --- stderr
    error: no node is named "sever"
    hint: did you mean "server"?
    "#);
}

#[test]
fn without_a_tailnet_the_nodes_are_made_up() {
    let env = TestEnvironment::new();
    let run = env.run_with(POLICY, &["policy", "compile", "-"]);
    let all: serde_json::Value = serde_json::from_str(&run.success()).unwrap();
    assert_eq!(all["symbolic"], true);
    let names: Vec<_> = all["nodes"].as_array().unwrap().iter().map(|node| &node["name"]).collect();
    assert_eq!(names, ["alice", "bob", "outsider", "tag-unnamed"]);
}

#[test]
fn a_policy_that_headscale_refuses_is_told_as_the_check_tells_it() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", "{\"acls\": [{\"action\": \"deny\"}]}\n");
    assert_snapshot!(env.run(&["policy", "compile", "policy.hujson"]), @r#"
    exit: 1
    --- stderr
    error[acl-action]: action="deny" is not supported: invalid ACL action
     --> policy.hujson:1:22
      |
    1 | {"acls": [{"action": "deny"}]}
      |                      ^^^^^^
      |
      = help: there is no deny: what no rule accepts is denied; remove the rule, and narrow those that accept too much

    1 error in 1 file
    "#);
}

#[test]
fn one_policy_and_one_version_are_asked() {
    let env = TestEnvironment::new();
    env.write("a.hujson", POLICY);
    env.write("b.hujson", POLICY);
    assert_snapshot!(env.run(&["policy", "compile"]), @"
    exit: 2
    --- stderr
    error: no policy given
    hint: name files, a directory or `-` for standard input, as in `kubectl headscale policy compile policy.hujson`, or list them under `files` in .headscale-policy.yaml
    ");
    assert_snapshot!(env.run(&["policy", "compile", "."]), @"
    exit: 2
    --- stderr
    error: `policy compile` is about one policy, and these are 2
    hint: name one file
    ");
    assert_snapshot!(env.run(&["policy", "compile", "none.hujson"]), @"
    exit: 2
    --- stderr
    error: cannot read none.hujson: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
    env.write(
        ".headscale-policy.yaml",
        "headscaleVersion: [\"0.28\", \"0.29\"]\nfiles: [a.hujson]\n",
    );
    assert_snapshot!(env.run(&["policy", "compile"]), @"
    exit: 2
    --- stderr
    error: the answer depends on the version: 0.28 or 0.29
    hint: choose one with --headscale-version
    ");
    env.write(".headscale-policy.yaml", "files: [a.hujson]\ntailnet: gone.json\n");
    assert_snapshot!(env.run(&["policy", "compile"]), @"
    exit: 2
    --- stderr
    error: cannot read gone.json: no such file (os error 2)
    hint: paths are relative to the current directory
    hint: it is the `tailnet` of .headscale-policy.yaml
    ");
}

/// An answer that no pipe and no buffer holds: each of 400 nodes sees all others.
fn large() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("policy.hujson", "{}\n");
    let node = |id: u32| {
        let addr = format!("100.64.{}.{}", id / 256, id % 256);
        format!(
            r#"{{"id": "{id}", "name": "n{id}", "ipAddresses": ["{addr}"], "tags": ["tag:a"]}}"#
        )
    };
    let nodes: Vec<String> = (1..=400).map(node).collect();
    env.write("tailnet.json", format!(r#"{{"users": [], "nodes": [{}]}}"#, nodes.join(",")));
    env
}

#[test]
fn a_reader_may_go_away_before_the_end() {
    let env = large();
    for format in ["json", "yaml"] {
        let common = ["policy", "compile", "policy.hujson", "--tailnet", "tailnet.json"];
        let mut command = env.command(&[&common[..], &["-o", format]].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut start = [0; 1000];
        child.stdout.take().unwrap().read_exact(&mut start).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{format}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let env = large();
    for format in ["json", "yaml"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let common = ["policy", "compile", "policy.hujson", "--tailnet", "tailnet.json"];
        let mut command = env.command(&[&common[..], &["-o", format]].concat());
        command.stdout(full).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{format}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let told = "error: cannot write standard output: no space left (os error 28)\n";
        assert_eq!(stderr, told, "{format}");
    }
}
