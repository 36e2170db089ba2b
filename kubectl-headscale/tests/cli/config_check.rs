//! `config check`: verdicts on configurations of Headscale, and where they stand in the file.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

/// Headscale 0.29 starts with it, and there is nothing to tell.
const GOOD: &str = "\
# The server of example.com.
server_url: https://headscale.example.com
listen_addr: 0.0.0.0:8080
noise:
  private_key_path: /var/lib/headscale/noise_private.key
prefixes: {v4: 100.64.0.0/10}
derp:
  urls: [https://controlplane.tailscale.com/derpmap/default]
database:
  type: sqlite
  sqlite:
    path: /var/lib/headscale/db.sqlite
dns:
  base_domain: tail.example.com
  override_local_dns: false
";

/// What an upgrade from 0.28 brings, and other mistakes.
fn bad() -> String {
    GOOD.replace("  override_local_dns: false\n", "  overide_local_dns: false\n")
        + "\
randomize_client_port: false
unix_socket_permission: 0770
oidc:
  issuer: https://id.example.com
  client_id: headscale
  client_secret: hunter2
  expiry: 90d
  allowed_domain: [example.com]
trusted_proxies:
- 10.0.0.0/8
- 0.0.0.0/0
"
}

#[test]
fn a_good_configuration_exits_0() {
    let env = TestEnvironment::new();
    env.write("config.yaml", GOOD);
    let run = env.run(&["config", "check", "config.yaml"]);
    assert_snapshot!(run, @"
    exit: 0
    --- stdout
    config.yaml: ok
    ");
    assert_eq!(env.run(&["config", "check", "-q", "config.yaml"]).success(), "");
}

#[test]
fn help_has_examples() {
    let env = TestEnvironment::new();
    let help = env.run(&["config", "check", "--help"]).success();
    assert!(help.contains("Examples:\n  # "), "{help}");
    assert_snapshot!("help-config-check", help);
    assert_snapshot!("help-config", env.run(&["config", "--help"]).success());
}

#[test]
fn findings_stand_at_their_keys_and_values() {
    let env = TestEnvironment::new();
    env.write("config.yaml", bad());
    let run = env.run(&["config", "check", "-o", "concise", "config.yaml"]);
    assert_snapshot!(run, @r#"
    exit: 1
    --- stdout
    config.yaml:13:1: error[config-missing-key] dns.nameservers.global must be set when dns.override_local_dns is true (help: name DNS servers, or set `dns.override_local_dns: false`)
    config.yaml:15:3: warning[config-unknown-key] `dns.overide_local_dns` is no key of Headscale, which ignores it (help: did you mean `dns.override_local_dns`?)
    config.yaml:16:1: error[config-removed-key] The "randomize_client_port" configuration key has been removed. (help: remove it; where it was true, write `"randomizeClientPort": true` at the top of the policy)
    config.yaml:17:25: warning[config-socket-permission] `unix_socket_permission` is the number 504, which is read as 0504 (help: write it in quotes, as octal digits: "0770")
    config.yaml:21:18: warning[config-plaintext-secret] `oidc.client_secret` stands in the configuration for all to read (help: set HEADSCALE_OIDC_CLIENT_SECRET in the server's environment)
    config.yaml:22:3: error[config-removed-key] The "oidc.expiry" configuration key has been removed. Please use "node.expiry" instead. (help: write `node.expiry` instead)
    config.yaml:23:3: error[config-unknown-key] `oidc.allowed_domain` is no key of Headscale, which ignores it (help: did you mean `oidc.allowed_domains`?)
    config.yaml:26:3: error[config-invalid-value] trusted_proxies[1] "0.0.0.0/0": 0.0.0.0/0 and ::/0 are not allowed (help: write the addresses of the proxies themselves)
    "#);
    assert_eq!(run.code, Some(1));
}

#[test]
fn people_are_shown_the_lines() {
    let env = TestEnvironment::new();
    env.write("config.yaml", GOOD.replace("server_url", "server-url"));
    assert_snapshot!(env.run(&["config", "check", "config.yaml"]), @"
    exit: 1
    --- stdout
    error[config-missing-key]: server_url must start with https:// or http://
    --> config.yaml
     = help: write the URL at which clients reach the server

    warning[config-unknown-key]: `server-url` is no key of Headscale, which ignores it
     --> config.yaml:2:1
      |
    2 | server-url: https://headscale.example.com
      | ^^^^^^^^^^
      |
      = help: did you mean `server_url`?

    1 error, 1 warning in 1 file
    ");
}

#[test]
fn several_versions_are_told_at_once() {
    let env = TestEnvironment::new();
    let text = format!("{GOOD}randomize_client_port: false\ngrpc_allow_insecure: false\n");
    env.write("config.yaml", text);
    let args = ["config", "check", "-o", "concise", "config.yaml", "--headscale-version"];
    let run = |versions| env.run(&[&args[..], &[versions]].concat());
    assert_snapshot!(run("0.28,0.29,0.30"), @r#"
    exit: 1
    --- stdout
    config.yaml:16:1: error[config-removed-key] The "randomize_client_port" configuration key has been removed. (help: for Headscale 0.29 and 0.30: remove it; where it was true, write `"randomizeClientPort": true` at the top of the policy)
    config.yaml:17:1: warning[config-ignored-key] `grpc_allow_insecure` has no effect since 0.30 (help: for Headscale 0.30: remove it)
    "#);
    assert_eq!(run("0.28").code, Some(0));
    assert_snapshot!(run("0.27"), @r#"
    exit: 2
    --- stderr
    error: invalid value '0.27' for '--headscale-version <VERSION>': Headscale "0.27" is not known: expected 0.28, 0.29 or 0.30

    For more information, try '--help'.
    "#);
}

#[test]
fn standard_input_is_read() {
    let env = TestEnvironment::new();
    let args = ["config", "check", "-o", "concise", "--stdin-filename", "config.yaml", "-"];
    let run = env.run_with(GOOD.replace("type: sqlite", "type: mysql"), &args);
    assert_snapshot!(run, @r#"
    exit: 1
    --- stdout
    config.yaml:10:9: error[config-invalid-value] invalid database type "mysql", must be sqlite, sqlite3 or postgres (help: write sqlite)
    "#);
}

#[test]
fn what_is_no_configuration_is_said_with_its_place() {
    let env = TestEnvironment::new();
    let check = |text: &str| {
        env.write("config.yaml", text);
        env.run(&["config", "check", "-o", "concise", "config.yaml"])
    };
    assert_snapshot!(check("dns:\n  magic_dns: [true\nlog: {}\n"), @"
    exit: 1
    --- stdout
    config.yaml:3:4: error[config-unreadable] illegal placement of ':' indicator
    ");
    assert_snapshot!(check("log: {}\ndns: {}\nlog: {}\n"), @"
    exit: 1
    --- stdout
    config.yaml:3:1: error[config-unreadable] duplicate mapping key `log` is not allowed here
    ");
    assert_snapshot!(check("- log\n"), @"
    exit: 1
    --- stdout
    config.yaml: error[config-unreadable] a configuration consists of keys with values, and this is a list
    ");
    assert_snapshot!(check("apiVersion: v1\nkind: ConfigMap\ndata: {}\n"), @"
    exit: 2
    --- stderr
    error: config.yaml is a ConfigMap of Kubernetes, and no config.yaml
    hint: name the file that Headscale reads, such as `config.yaml` of its ConfigMap
    ");
    assert_snapshot!(env.run(&["config", "check", "nowhere.yaml"]), @"
    exit: 2
    --- stderr
    error: cannot read nowhere.yaml: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
    assert_snapshot!(env.run(&["config", "check"]), @"
    exit: 2
    --- stderr
    error: the following required arguments were not provided:
      <FILE>...

    Usage: kubectl headscale config check <FILE>...

    For more information, try '--help'.
    ");
}

#[test]
fn levels_and_reports_are_those_of_policies() {
    let env = TestEnvironment::new();
    env.write("config.yaml", format!("{GOOD}colour: red\n"));
    let check = |more: &[&str]| env.run(&[&["config", "check", "config.yaml"][..], more].concat());
    assert_eq!(check(&["-o", "concise"]).code, Some(0));
    assert_eq!(check(&["--fail-on", "warning"]).code, Some(1));
    assert_eq!(check(&["--rule", "config-unknown-key=error"]).code, Some(1));
    let off = check(&["--rule", "config-unknown-key=off", "--fail-on", "info"]);
    assert_eq!(off.code, Some(0), "{off}");
    let sarif = check(&["-o", "sarif"]);
    assert!(sarif.stdout.contains("\"ruleId\": \"config-unknown-key\""), "{sarif}");
    let json = check(&["-o", "json"]);
    assert!(json.stdout.contains("\"config-unknown-key\""), "{json}");
    assert_snapshot!(check(&["-o", "json=config.yaml"]), @"
    exit: 2
    --- stderr
    error: -o would overwrite the configuration config.yaml
    hint: write to another file
    ");
}
