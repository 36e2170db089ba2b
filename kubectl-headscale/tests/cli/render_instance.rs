//! `render instance` and `render crds`.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

const URL: [&str; 6] =
    ["render", "instance", "vpn", "--server-url", "https://vpn.example.com", "-n=vpn"];

#[test]
fn the_objects_of_an_instance_come_in_an_order_to_apply_them_in() {
    let env = TestEnvironment::new();
    let args = [&URL[..], &["--base-domain", "tail.example.org"]].concat();
    let yaml = env.run(&args).success();
    assert_eq!(env.run(&args).success(), yaml, "it is the same each time");
    let lines = yaml.lines().filter(|line| {
        ["---", "kind: ", "  name: ", "  namespace: "].iter().any(|start| line.starts_with(start))
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    kind: ServiceAccount
      name: vpn
      namespace: vpn
    ---
    kind: Role
      name: vpn
      namespace: vpn
    ---
    kind: RoleBinding
      name: vpn
      namespace: vpn
      name: vpn
      namespace: vpn
      name: vpn
    ---
    kind: ConfigMap
      name: vpn-config
      namespace: vpn
    ---
    kind: Service
      name: vpn
      namespace: vpn
    ---
    kind: Service
      name: vpn-metrics
      namespace: vpn
    ---
    kind: StatefulSet
      name: vpn
      namespace: vpn
    ");
    let json = env.run(&[&args[..], &["-o", "json"]].concat()).success();
    assert!(json.starts_with("{\n    \"apiVersion\": \"v1\",\n    \"items\": ["), "{json}");
}

#[test]
fn a_file_and_flags_together_are_rendered() {
    let env = TestEnvironment::new();
    env.write(
        "vpn.yaml",
        "\
apiVersion: headscale.infrado.cloud/v1beta1
kind: Headscale
metadata: {name: vpn, namespace: own}
spec:
  version: v0.28.0
  replicas: 1
  config:
    server_url: https://vpn.example.com
    dns: {magic_dns: false}
",
    );
    let run = env.run(&["render", "instance", "-f", "vpn.yaml", "--version", "v0.29.2"]).success();
    assert!(run.contains("image: headscale/headscale:v0.29.2\n"), "{run}");
    assert!(run.contains("namespace: own\n"), "{run}");
    let run = env.run_with("kind: Headscale", &["render", "instance", "-f", "-"]);
    assert_snapshot!(run, @"
    exit: 2
    --- stderr
    error: <stdin>:1:1: apiVersion must be headscale.infrado.cloud/v1beta1, not nothing
    ");
}

#[test]
fn a_configuration_that_headscale_refuses_is_not_rendered() {
    let env = TestEnvironment::new();
    env.write(
        "vpn.yaml",
        "\
apiVersion: headscale.infrado.cloud/v1beta1
kind: Headscale
metadata: {name: vpn}
spec:
  version: v0.29.2
  replicas: 1
  config:
    server_url: https://vpn.example.com
    ip_prefixes: [100.64.0.0/10]
    dns_config: {base_domain: example.com}
    database: {type: mysql}
",
    );
    assert_snapshot!(env.run(&["render", "instance", "-f", "vpn.yaml"]), @r#"
    exit: 1
    --- stderr
    error: vpn.yaml:11:16: invalid database type "mysql", must be sqlite, sqlite3 or postgres (config-invalid-value)
    hint: write sqlite
    error: vpn.yaml:8:5: server_url cannot be part of base_domain in a way that could make the DERP and headscale server unreachable (config-server-in-base-domain)
    hint: give nodes a domain that vpn.example.com is not in
    note: vpn.yaml:10:18: `dns_config.base_domain` is written as `dns.base_domain` (config-translated)
    note: vpn.yaml:9:5: `ip_prefixes` is written as `prefixes.v4` and `prefixes.v6` (config-translated)
    error: Headscale 0.29 would not start with this configuration, or not do what it says
    hint: --force goes on all the same
    "#);
}

#[test]
fn the_definitions_of_all_kinds_are_rendered() {
    let env = TestEnvironment::new();
    let yaml = env.run(&["render", "crds"]).success();
    assert_eq!(yaml.matches("\nkind: CustomResourceDefinition\n").count(), 5, "{yaml}");
    let json = env.run(&["render", "crds", "-o", "json"]).success();
    assert_eq!(json.matches("\"kind\": \"CustomResourceDefinition\"").count(), 5, "{json}");
}
