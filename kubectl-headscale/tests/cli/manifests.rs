//! Policies in Kubernetes manifests: which are found, and where what is wrong in them is told.

use insta::assert_snapshot;

use crate::environment::{Run, TestEnvironment};

/// One object of each kind that holds a policy, among others, in every form of a scalar.
const MANIFEST: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
apiVersion: headscale.infrado.cloud/v1beta1
kind: HeadscalePolicy
metadata:
  name: main
  namespace: vpn
spec:
  headscaleRef: main
  inline: |
    // Who may do what.
    {
      // policy-ignore: unused-group -- comes with the next team
      "groups": {"group:a": ["alice@"]},

      "acls": [
        {"action": "accept", "src": ["bob"], "dst": ["*:*"]},
      ],
    }
---
apiVersion: v1
kind: List
items:
- apiVersion: headscale.infrado.cloud/v1beta1
  kind: Headscale
  metadata: {name: other}
  spec:
    acl_policy:
      inline: "{\n  \"acls\": [\n    {\"action\": \"accept\", \"src\": [\"nope\"],\
        \ \"dst\": [\"*:*\"]}]}"
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: policies}
  data:
    notes.txt: not a policy
    folded.hujson: >-
      {"acls": [
      {"action": "accept",
      "src": ["zed"], "dst": ["*:*"]}]}
    single.hujson: '{"acls": [{"action": "accept", "src": ["it''s"], "dst": ["*:*"]}]}'
    policy.json: '{"acls": [{"action": "accept", "src": ["old"], "dst": ["*:*"]}]}'
    acl.json: '{"name": "something else"}'
"#;

/// A policy with one finding that `--fix` repairs.
const BLOCK: &str = r#"apiVersion: headscale.infrado.cloud/v1beta1
kind: HeadscalePolicy
metadata: {name: main}
spec:
  inline: |-
    {
      "groups": {
        "group:a": ["alice"],
      },
      "acls": [
        {"action": "accept", "src": ["group:a"], "dst": ["*:*"]},
      ],
    }
  headscaleRef: main
"#;

fn check(env: &TestEnvironment, args: &[&str]) -> Run {
    env.run(&[&["policy", "check", "-o", "concise"], args].concat())
}

#[test]
fn findings_stand_where_they_are_in_the_manifest() {
    let env = TestEnvironment::new();
    env.write("deploy.yaml", MANIFEST);
    assert_snapshot!(check(&env, &["deploy.yaml"]), @r#"
    exit: 1
    --- stdout
    deploy.yaml:19:38: error[host-undefined] HeadscalePolicy vpn/main: host not defined in policy: "bob" (help: did you mean the user `bob@`? A word without `@` or `:` names an entry of `hosts`)
    deploy.yaml:31:73: error[host-undefined] Headscale other: host not defined in policy: "nope" (help: did you mean the user `nope@`? A word without `@` or `:` names an entry of `hosts`)
    deploy.yaml:41:15: error[host-undefined] ConfigMap policies: host not defined in policy: "zed" (help: did you mean the user `zed@`? A word without `@` or `:` names an entry of `hosts`)
    deploy.yaml:42:60: error[host-undefined] ConfigMap policies: host not defined in policy: "it's" (help: did you mean the user `it's@`? A word without `@` or `:` names an entry of `hosts`)
    deploy.yaml:43:58: error[host-undefined] ConfigMap policies: host not defined in policy: "old" (help: did you mean the user `old@`? A word without `@` or `:` names an entry of `hosts`)
    "#);
    assert_eq!(env.run_with(MANIFEST, &["policy", "check", "-"]).code, Some(1));
}

#[test]
fn people_see_the_line_of_the_manifest() {
    let env = TestEnvironment::new();
    env.write("deploy.yaml", BLOCK);
    assert_snapshot!(env.run(&["policy", "check", "deploy.yaml"]), @r#"
    exit: 1
    --- stdout
    error[group-member]: username must contain @, got: "alice"
     --> deploy.yaml:8:21
      |
    8 |         "group:a": ["alice"],
      |                     ^^^^^^^
      |
      = help: did you mean the user `alice@`?
      = note: `--fix` can do it: write `alice@`

    1 error in 1 file
    "#);
}

#[test]
fn windows_line_ends_count() {
    let env = TestEnvironment::new();
    env.write("deploy.yaml", BLOCK.replace('\n', "\r\n"));
    assert_snapshot!(check(&env, &["deploy.yaml"]), @r#"
    exit: 1
    --- stdout
    deploy.yaml:8:21: error[group-member] username must contain @, got: "alice" (help: did you mean the user `alice@`?)
    "#);
}

#[test]
fn a_key_that_a_policy_refers_to_is_one_wherever_the_map_stands() {
    let env = TestEnvironment::new();
    let policy = "apiVersion: headscale.infrado.cloud/v1beta1\nkind: HeadscalePolicy\n\
                  metadata: {name: main, namespace: vpn}\nspec:\n  headscaleRef: main\n  \
                  configMapRef: {name: rules, key: current}\n";
    let map = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: rules, namespace: {namespace}}}\n\
             data:\n  current: |\n    {{'acls': []}}\n"
        )
    };
    env.write("a/map.yaml", map("vpn"));
    env.write("a/policy.yaml", policy);
    env.write("b/map.yaml", map("elsewhere"));
    assert_snapshot!(check(&env, &["a"]), @r"
    exit: 1
    --- stdout
    a/map.yaml:6:6: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
    assert_snapshot!(check(&env, &["b/map.yaml", "a/policy.yaml"]), @"
    exit: 2
    --- stderr
    error: no policy in the Kubernetes objects of b/map.yaml
    hint: looked for are `spec.inline` of a HeadscalePolicy, `spec.acl_policy.inline` of a Headscale, and the keys of a ConfigMap that end in .hujson, are named policy.json or acl.json, or that a HeadscalePolicy refers to
    error: no policy in the Kubernetes objects of a/policy.yaml
    hint: looked for are `spec.inline` of a HeadscalePolicy, `spec.acl_policy.inline` of a Headscale, and the keys of a ConfigMap that end in .hujson, are named policy.json or acl.json, or that a HeadscalePolicy refers to
    ");
}

#[test]
fn directories_have_manifests_among_others() {
    let env = TestEnvironment::new();
    env.write("chart/templates.yaml", "apiVersion: headscale.infrado.cloud/v1beta1\nkind: HeadscalePolicy\nmetadata: {name: {{ .Release.Name }}}\n");
    env.write("chart/values.yaml", "replicas: 1\n");
    env.write("chart/deployment.yml", "apiVersion: apps/v1\nkind: Deployment\n");
    assert_snapshot!(check(&env, &["chart"]), @r#"
    exit: 2
    --- stderr
    error: no policy in chart
    hint: a directory means the *.hujson files directly in it, the *.json files that have a section of a policy, such as "acls", and the *.yaml files with Kubernetes objects that hold one
    "#);
    env.write("chart/policy.yml", BLOCK);
    assert_snapshot!(check(&env, &["chart"]), @r#"
    exit: 1
    --- stdout
    chart/policy.yml:8:21: error[group-member] username must contain @, got: "alice" (help: did you mean the user `alice@`?)
    "#);
    env.write(
        "chart/broken.yaml",
        "apiVersion: headscale.infrado.cloud/v1beta1\nkind: Headscale\nspec: [\n",
    );
    assert_snapshot!(check(&env, &["chart"]), @r#"
    exit: 2
    --- stdout
    chart/policy.yml:8:21: error[group-member] username must contain @, got: "alice" (help: did you mean the user `alice@`?)
    --- stderr
    error: chart/broken.yaml:3:7: it is not YAML: unclosed bracket '['
    "#);
}

#[test]
fn a_named_manifest_without_a_policy_is_an_error() {
    let env = TestEnvironment::new();
    env.write("deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n");
    env.write(
        "template.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}: x\n",
    );
    assert_snapshot!(check(&env, &["deployment.yaml", "template.yaml"]), @"
    exit: 2
    --- stderr
    error: template.yaml:4:28: it is not YAML: mapping values are not allowed in this context
    hint: it looks like a template: check what it renders to, as in `helm template . | kubectl headscale policy check -`
    error: no policy in the Kubernetes objects of deployment.yaml
    hint: looked for are `spec.inline` of a HeadscalePolicy, `spec.acl_policy.inline` of a Headscale, and the keys of a ConfigMap that end in .hujson, are named policy.json or acl.json, or that a HeadscalePolicy refers to
    ");
}

#[test]
fn yaml_that_is_no_manifest_is_a_policy_in_the_wrong_language() {
    let env = TestEnvironment::new();
    env.write("policy.yaml", "acls:\n- action: accept\n");
    assert_snapshot!(check(&env, &["policy.yaml"]), @"
    exit: 1
    --- stdout
    policy.yaml:1:1: error[syntax] invalid literal: acls (help: this looks like YAML, and a policy is HuJSON; `kubectl headscale policy fmt --from yaml` converts the file)
    ");
}

#[test]
fn repairs_keep_the_manifest_around_them() {
    let env = TestEnvironment::new();
    let crlf = BLOCK.replace('\n', "\r\n");
    for (name, text) in [("deploy.yaml", BLOCK), ("windows.yaml", &crlf)] {
        env.write(name, text);
        let run = check(&env, &["--fix", name]);
        assert_eq!(run.code, Some(0), "{run}");
        assert_eq!(env.read(name), text.replace("\"alice\"", "\"alice@\""));
    }
    let two = format!("{BLOCK}---\n{}", BLOCK.replace("name: main", "name: two"));
    env.write("two.yaml", &two);
    assert_snapshot!(check(&env, &["--fix", "two.yaml"]), @r#"
    exit: 0
    --- stdout
    two.yaml:6:5: info[tests-missing] HeadscalePolicy main: the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    two.yaml:21:5: info[tests-missing] HeadscalePolicy two: the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    note: repaired 2 findings in two.yaml
    "#);
    assert_eq!(env.read("two.yaml"), two.replace("\"alice\"", "\"alice@\""));
}

#[test]
fn what_is_no_block_is_not_repaired() {
    let env = TestEnvironment::new();
    let quoted = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rules}\ndata:\n  a.hujson: \
                  \"{\\\"groups\\\": {\\\"group:a\\\": [\\\"alice\\\"]}, \\\"acls\\\": []}\"\n";
    env.write("map.yaml", quoted);
    assert_snapshot!(check(&env, &["--fix", "map.yaml"]), @r#"
    exit: 2
    --- stdout
    map.yaml:5:42: error[group-member] username must contain @, got: "alice" (help: did you mean the user `alice@`?)
    --- stderr
    error: cannot write map.yaml: data["a.hujson"] of the ConfigMap rules is not a block with `|`, the one form that can be written
    hint: write it as a block of YAML, `KEY: |`
    "#);
    assert_eq!(env.read("map.yaml"), quoted);
}

#[test]
fn blocks_are_formatted_in_place() {
    let env = TestEnvironment::new();
    env.write("deploy.yaml", BLOCK);
    assert_snapshot!(env.run(&["policy", "fmt", "--check", "deploy.yaml"]), @"
    exit: 1
    --- stdout
    deploy.yaml
    ");
    assert_snapshot!(env.run(&["policy", "fmt", "-w", "deploy.yaml"]), @"
    exit: 0
    --- stderr
    note: formatted deploy.yaml
    ");
    assert_snapshot!(env.read("deploy.yaml"), @r#"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscalePolicy
    metadata: {name: main}
    spec:
      inline: |-
        {
        	"groups": {
        		"group:a": ["alice"],
        	},
        	"acls": [
        		{"action": "accept", "src": ["group:a"], "dst": ["*:*"]},
        	],
        }
      headscaleRef: main
    "#);
    assert_eq!(env.run(&["policy", "fmt", "--check", "deploy.yaml"]).code, Some(0));
    assert_eq!(env.run(&["policy", "fmt", "--from", "yaml", "deploy.yaml"]).code, Some(2));
}

#[test]
fn questions_are_answered_with_places_of_the_manifest() {
    let env = TestEnvironment::new();
    let good = BLOCK.replace("\"alice\"", "\"alice@\"");
    env.write("deploy.yaml", &good);
    let ask = ["policy", "explain", "deploy.yaml", "--from", "alice@", "--to", "*:80"];
    assert_snapshot!(env.run(&ask), @r#"
    exit: 0
    --- stdout
    allowed: alice@ to *:80

    deploy.yaml:11:9: acls[0]
      {"action":"accept","src":["group:a"],"dst":["*:*"]}
      from alice@ ∈ group:a
      to   *
    --- stderr
    note: the nodes are made up from the policy; name the real ones with --tailnet
    "#);
    env.write("new.yaml", good.replace("*:*", "*:22"));
    assert_snapshot!(env.run(&["policy", "diff", "deploy.yaml", "new.yaml"]), @"
    exit: 1
    --- stdout
    - net  group:a  ->  *  tcp, udp 0-21,23-65535

    reachability shrinks
    --- stderr
    note: the nodes are made up from the policy; name the real ones with --tailnet
    ");
    let two = format!("{good}---\n{}", good.replace("name: main", "name: two"));
    env.write("two.yaml", two);
    let ask = ["policy", "access", "two.yaml", "--from", "alice@"];
    assert_snapshot!(env.run(&ask), @"
    exit: 2
    --- stderr
    error: `policy access` is about one policy, and these are 2
    hint: name one file
    ");
}

#[test]
fn code_scanning_gets_places_and_repairs_of_the_manifest() {
    let env = TestEnvironment::new();
    env.write("deploy.yaml", BLOCK);
    let run = env.run(&["policy", "check", "-o", "sarif", "deploy.yaml"]);
    let sarif: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_snapshot!(serde_json::to_string_pretty(&result["locations"]).unwrap(), @r#"
    [
      {
        "physicalLocation": {
          "artifactLocation": {
            "uri": "deploy.yaml",
            "uriBaseId": "%SRCROOT%"
          },
          "region": {
            "startLine": 8,
            "startColumn": 21,
            "endLine": 8,
            "endColumn": 28,
            "byteOffset": 152,
            "byteLength": 7
          }
        }
      }
    ]
    "#);
    assert_snapshot!(serde_json::to_string_pretty(&result["fixes"]).unwrap(), @r#"
    [
      {
        "description": {
          "text": "write `alice@`"
        },
        "artifactChanges": [
          {
            "artifactLocation": {
              "uri": "deploy.yaml",
              "uriBaseId": "%SRCROOT%"
            },
            "replacements": [
              {
                "deletedRegion": {
                  "startLine": 8,
                  "startColumn": 21,
                  "endLine": 8,
                  "endColumn": 28,
                  "byteOffset": 152,
                  "byteLength": 7
                },
                "insertedContent": {
                  "text": "\"alice@\""
                }
              }
            ]
          }
        ]
      }
    ]
    "#);
}

/// The first lines of a HeadscalePolicy, up to its `spec`.
const HEAD: &str = "apiVersion: headscale.infrado.cloud/v1beta1\nkind: HeadscalePolicy\n\
                    metadata: {name: main}\nspec:\n";

#[test]
fn empty_lines_at_the_start_of_a_block_do_not_keep_it_from_being_repaired() {
    let env = TestEnvironment::new();
    for (name, empty) in [("none.yaml", "\n\n"), ("spaces.yaml", "  \n       \n")] {
        // With the indentation said, lines of it may have more spaces.
        let text = BLOCK.replace("inline: |-\n", &format!("inline: |2-\n{empty}"));
        for text in [text.replace('\n', "\r\n"), text] {
            env.write(name, &text);
            let run = check(&env, &[name]);
            assert!(run.stdout.contains(&format!("{name}:10:21: error[group-member]")), "{run}");
            let run = check(&env, &["--fix", name]);
            assert_eq!(run.code, Some(0), "{run}");
            let read = env.read(name);
            assert!(read.contains("  \"groups\": {\r\n") == text.contains('\r'), "{read:?}");
            assert!(read.contains("\"group:a\": [\"alice@\"]"), "{read:?}");
            assert_eq!(check(&env, &[name]).stderr, "");
        }
    }
}

#[test]
fn a_policy_that_aliases_share_is_repaired_once() {
    let env = TestEnvironment::new();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rules}\ndata:\n  a.hujson: &policy \
               |\n    {\"groups\": {\"group:a\": [\"alice\"]}, \"acls\": []}\n  b.hujson: *policy\n";
    env.write("map.yaml", map);
    let run = check(&env, &["--fix", "map.yaml"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(env.read("map.yaml"), map.replace("\"alice\"", "\"alice@\""));
}

#[test]
fn an_alias_where_a_policy_may_be_is_no_reason_to_say_that_all_is_well() {
    let env = TestEnvironment::new();
    let shared = "apiVersion: headscale.infrado.cloud/v1beta1\nkind: HeadscalePolicy\n\
                  metadata: {name: one}\nspec: &spec\n  inline: |\n    {\"acls\": []}\n";
    let two = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: headscale.infrado.cloud/v1beta1\n  \
               kind: HeadscalePolicy\n  spec: &spec\n    inline: |\n      {\"acls\": []}\n- \
               apiVersion: headscale.infrado.cloud/v1beta1\n  kind: HeadscalePolicy\n  spec: *spec\n";
    env.write("one.yaml", shared);
    assert_eq!(check(&env, &["one.yaml"]).code, Some(0));
    env.write("two.yaml", two);
    assert_snapshot!(check(&env, &["two.yaml"]), @"
    exit: 2
    --- stderr
    error: two.yaml:11:9: what this alias stands for is not looked into: write it out here, or anchor the text of the policy alone
    ");
}

#[test]
fn a_manifest_that_is_large_in_an_odd_way_is_read_as_any_other() {
    let env = TestEnvironment::new();
    // Each took minutes or hours where each of many looked at all the others.
    let wrong = |before: &str| format!("{HEAD}  inline: {before}{{}}x");
    let reference =
        |number: usize| format!("{HEAD}  configMapRef: {{name: map-{number}, key: key}}\n---\n");
    let references: String = (0..20_000).map(reference).collect();
    let keys: String = (0..20_000).map(|number| format!("  key-{number}: x\n")).collect();
    let policies: String = (0..2_000)
        .map(|_| {
            format!("{HEAD}  inline: |\n    {{\"acls\": []}}\n{}---\n", "    // x\n".repeat(200))
        })
        .collect();
    let texts = [
        ("empty-lines", wrong(&format!("|\n{}    ", "\n".repeat(200_000))), 1),
        ("quoted-spaces", wrong(&format!("\"{}", " ".repeat(1_000_000))) + "\"", 1),
        ("folded", wrong(&format!(">2\n    {}", " ".repeat(1_000_000))), 1),
        ("references", format!("{references}apiVersion: v1\nkind: ConfigMap\ndata:\n{keys}"), 2),
        ("policies", policies, 0),
    ];
    for (name, text, code) in texts {
        env.write(&format!("{name}.yaml"), text);
        let run = check(&env, &[&format!("{name}.yaml")]);
        assert_eq!(run.code, Some(code), "{name}: {run}");
    }
}
