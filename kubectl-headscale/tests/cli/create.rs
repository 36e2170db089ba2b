//! `create` where no cluster is asked: manifests for Git, and input that is wrong.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

/// What `create ARGS --dry-run=client` gives back.
fn create(env: &TestEnvironment, args: &[&str]) -> crate::environment::Run {
    env.run(&[&["create"], args, &["--dry-run=client"]].concat())
}

#[test]
fn flags_make_a_manifest_of_each_kind() {
    let env = TestEnvironment::new();
    let yaml = |args: &[&str]| create(&env, &[args, &["-o", "yaml"]].concat()).success();
    assert_snapshot!(yaml(&["user", "alice", "--instance", "vpn", "--username", "alice-s",
        "--display-name", "Alice", "--email", "alice@example.com",
        "--picture-url", "https://example.com/a.jpg", "-n", "vpn"]), @"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscaleUser
    metadata:
      name: alice
      namespace: vpn
    spec:
      displayName: Alice
      email: alice@example.com
      headscaleRef: vpn
      pictureURL: https://example.com/a.jpg
      username: alice-s
    ");
    assert_snapshot!(yaml(&["preauthkey", "ci", "--instance", "vpn", "--user", "alice",
        "--tags", "ci,tag:web", "--expiration", "90d", "--reusable", "--ephemeral", "--rotate",
        "--secret-name", "ci-key"]), @"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscalePreAuthKey
    metadata:
      name: ci
    spec:
      ephemeral: true
      expiration: 2160h
      headscaleRef: vpn
      headscaleUserRef: alice
      reusable: true
      rotate: true
      secretName: ci-key
      tags:
      - tag:ci
      - tag:web
    ");
    assert_snapshot!(yaml(&["autoapprover", "office", "--instance", "vpn",
        "--route", "10.0.0.0/8=tag:router,tag:backup", "--exit-node-tags", "tag:exit"]), @"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscaleAutoApprover
    metadata:
      name: office
    spec:
      exitNodeTags:
      - tag:exit
      headscaleRef: vpn
      routes:
      - cidr: 10.0.0.0/8
        tags:
        - tag:router
        - tag:backup
    ");
    env.write("policy.hujson", "{\n  // all\n  \"acls\": [],\n}\n");
    assert_snapshot!(yaml(&["policy", "main", "--instance", "vpn", "--from-file", "policy.hujson",
        "--plugin", "builtin:guardrails"]), @r#"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscalePolicy
    metadata:
      name: main
    spec:
      headscaleRef: vpn
      inline: |
        {
          // all
          "acls": [],
        }
      plugins:
      - ref: builtin:guardrails
    "#);
    assert_snapshot!(yaml(&["policy", "main", "--instance", "vpn", "--config-map", "acl:p.hujson"]), @"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscalePolicy
    metadata:
      name: main
    spec:
      configMapRef:
        key: p.hujson
        name: acl
      headscaleRef: vpn
    ");
    env.write("values.yaml", "people: [alice]\n");
    assert_snapshot!(yaml(&["policy", "main", "--instance", "vpn", "--render", "builtin:keystone",
        "--values", "values.yaml"]), @"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscalePolicy
    metadata:
      name: main
    spec:
      headscaleRef: vpn
      render:
        plugin: builtin:keystone
        values:
          people:
          - alice
    ");
}

#[test]
fn an_instance_has_what_most_need_as_flags() {
    let env = TestEnvironment::new();
    assert_snapshot!(create(&env, &["instance", "vpn", "--server-url", "https://vpn.example.com",
        "-o", "yaml"]), @"
    exit: 0
    --- stdout
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: Headscale
    metadata:
      name: vpn
    spec:
      config:
        dns:
          magic_dns: false
        server_url: https://vpn.example.com
      replicas: 1
      version: v0.29.2
    --- stderr
    note: nodes get no names: --base-domain is the domain to have them in
    ");
    assert_snapshot!(create(&env, &["instance", "vpn", "--server-url", "https://vpn.example.com",
        "--version", "0.30.0", "--image", "registry.example.com/headscale", "--replicas", "0",
        "--base-domain", "tail.example.org", "--policy-mode", "database", "--storage-size", "1Gi",
        "--storage-class", "fast", "--ingress-class", "nginx", "--ingress-tls-secret", "vpn-tls",
        "--set", "config.database.type=postgres", "--set", "config.database.postgres.host=db",
        "--set", "config.database.postgres.name=hs", "--set", "config.database.postgres.user=hs",
        "--database-password", "db:password", "-o", "yaml"]).success(), @"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: Headscale
    metadata:
      name: vpn
    spec:
      config:
        database:
          postgres:
            host: db
            name: hs
            user: hs
          type: postgres
        dns:
          base_domain: tail.example.org
        policy:
          mode: database
        server_url: https://vpn.example.com
      image: registry.example.com/headscale
      ingress:
        class_name: nginx
        tls_secret_name: vpn-tls
      persistent_volume_claim:
        size: 1Gi
        storage_class_name: fast
      replicas: 0
      secrets:
        database_password:
          key: password
          name: db
      version: 0.30.0
    ");
}

#[test]
fn flags_count_more_than_fields_and_fields_more_than_the_file() {
    let env = TestEnvironment::new();
    env.write(
        "key.yaml",
        "\
apiVersion: headscale.infrado.cloud/v1beta1
kind: HeadscalePreAuthKey
metadata:
  name: base
  labels: {team: net}
  resourceVersion: \"7\"
  creationTimestamp: 2030-01-01T00:00:00Z
spec: {headscaleRef: vpn, userId: 3, expiration: 1h, reusable: true}
status: {used: true}
",
    );
    let args = [
        "preauthkey",
        "-f",
        "key.yaml",
        "--set",
        "expiration=2h",
        "--set",
        "reusable=false",
        "--set",
        r"metadata.annotations.example\.com/a=1",
        "-o",
        "yaml",
    ];
    assert_snapshot!(create(&env, &args).success(), @r#"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscalePreAuthKey
    metadata:
      annotations:
        example.com/a: "1"
      labels:
        team: net
      name: base
    spec:
      expiration: 2h
      headscaleRef: vpn
      reusable: false
      userId: 3
    "#);
    let args = [&args[..], &["other", "--user", "alice", "--expiration", "3h"]].concat();
    assert_snapshot!(create(&env, &args).success(), @r#"
    apiVersion: headscale.infrado.cloud/v1beta1
    kind: HeadscalePreAuthKey
    metadata:
      annotations:
        example.com/a: "1"
      labels:
        team: net
      name: other
    spec:
      expiration: 3h
      headscaleRef: vpn
      headscaleUserRef: alice
      reusable: false
    "#);
}

#[test]
fn a_line_a_name_json_and_yaml_are_kubectls() {
    let env = TestEnvironment::new();
    let args = ["user", "alice", "--instance", "vpn"];
    assert_eq!(
        create(&env, &args).success(),
        "headscaleuser.headscale.infrado.cloud/alice created (dry run)\n"
    );
    assert_eq!(
        create(&env, &[&args[..], &["-o", "name"]].concat()).success(),
        "headscaleuser.headscale.infrado.cloud/alice\n"
    );
    assert_snapshot!(create(&env, &[&args[..], &["-o", "json"]].concat()).success(), @r#"
    {
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "HeadscaleUser",
        "metadata": {
            "name": "alice"
        },
        "spec": {
            "headscaleRef": "vpn",
            "username": "alice"
        }
    }
    "#);
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line_and_column() {
    let env = TestEnvironment::new();
    let told = |text: &str| {
        env.write("user.yaml", text);
        create(&env, &["user", "-f", "user.yaml"])
    };
    const HEAD: &str = "apiVersion: headscale.infrado.cloud/v1beta1\nkind: HeadscaleUser\n";
    assert_snapshot!(told("kind: HeadscaleUser\nspec: {a: b\n"), @"
    exit: 2
    --- stderr
    error: user.yaml:2:7: unclosed bracket '{'
    ");
    assert_snapshot!(told("kind: HeadscalePolicy\n"), @"
    exit: 2
    --- stderr
    error: user.yaml:1:1: kind must be HeadscaleUser, not HeadscalePolicy
    hint: `kubectl headscale create policy` makes it
    ");
    assert_snapshot!(told("kind: HeadscaleUser\napiVersion: v1\n"), @"
    exit: 2
    --- stderr
    error: user.yaml:2:1: apiVersion must be headscale.infrado.cloud/v1beta1, not v1
    ");
    assert_snapshot!(told("- a\n"), @"
    exit: 2
    --- stderr
    error: user.yaml:1:1: expected an object of Kubernetes
    ");
    assert_snapshot!(told(&format!("{HEAD}metadata: {{name: a}}\nspec:\n  headscaleRef: vpn\n  \
        username: 7\n  displayname:\n    a: b\n")), @r#"
    exit: 2
    --- stderr
    error: the user has 2 fields that do not fit
      user.yaml:6:3: spec.username must be a text, not 7
      user.yaml:7:3: unknown field "spec.displayname"
    hint: put it in quotes
    hint: did you mean "displayName"?
    "#);
    assert_snapshot!(told(&format!("{HEAD}metadata: {{name: a}}\nspecs: {{}}\n")), @r#"
    exit: 2
    --- stderr
    error: user.yaml:4:1: unknown field "specs"
    hint: did you mean "spec"?
    "#);
    assert_snapshot!(told(&format!("{HEAD}spec: {{headscaleRef: vpn, username: a}}\n")), @"
    exit: 2
    --- stderr
    error: which user? NAME is missing
    hint: as in `kubectl headscale create user NAME`
    ");
    assert_snapshot!(create(&env, &["user", "a", "-f", "nowhere.yaml"]), @"
    exit: 2
    --- stderr
    error: cannot read nowhere.yaml: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
    env.write("service.yaml", "apiVersion: headscale.infrado.cloud/v1beta1\nkind: Headscale\n\
        metadata: {name: vpn}\nspec:\n  version: v0.29.2\n  replicas: 1\n  config: {server_url: a}\n  \
        service:\n    type: Nodeport\n");
    assert_snapshot!(create(&env, &["instance", "-f", "service.yaml"]), @r#"
    exit: 2
    --- stderr
    error: service.yaml:9:5: spec.service.type must be one of "ClusterIP", "NodePort", "LoadBalancer", not "Nodeport"
    hint: did you mean "NodePort"?
    "#);
}

#[test]
fn wrong_flags_say_what_is_expected() {
    let env = TestEnvironment::new();
    let key =
        |args: &[&str]| create(&env, &[&["preauthkey", "k", "--instance", "v"], args].concat());
    assert_snapshot!(key(&[]), @"
    exit: 2
    --- stderr
    error: whose nodes join with the key?
    hint: --user names a HeadscaleUser, --user-id a user by id, --tags the tags that nodes get
    ");
    assert_snapshot!(key(&["--user", "a", "--expiration", "soon"]), @r#"
    exit: 2
    --- stderr
    error: invalid value 'soon' for '--expiration <DURATION>': "soon" is no duration: expected hours, minutes, days or weeks, as in 12h or 90d

    For more information, try '--help'.
    "#);
    assert_snapshot!(key(&["--user", "a", "--user-id", "1"]), @"
    exit: 2
    --- stderr
    error: the argument '--user <NAME>' cannot be used with '--user-id <ID>'

    Usage: kubectl headscale create preauthkey --instance <NAME> --user <NAME> --dry-run <WHERE> <NAME>

    For more information, try '--help'.
    ");
    assert_snapshot!(key(&["--tags", "tag:a b"]), @r#"
    exit: 2
    --- stderr
    error: invalid value 'tag:a b' for '--tags <TAG>': "tag:a b" is no tag: expected one as in tag:ci

    For more information, try '--help'.
    "#);
    assert_snapshot!(key(&["--user", "a", "--set", "reuseable=true"]), @r#"
    exit: 2
    --- stderr
    error: --set: unknown field "spec.reuseable"
    hint: did you mean "reusable"?
    "#);
    assert_snapshot!(key(&["--user", "a", "--set", "reusable=often"]), @"
    exit: 2
    --- stderr
    error: spec.reusable must be true or false, not a text
    ");
    assert_snapshot!(create(&env, &["user", "alice"]), @"
    exit: 2
    --- stderr
    error: which instance? --dry-run=client asks no cluster for the one that is there
    hint: --instance names it
    ");
    assert_snapshot!(create(&env, &["user"]), @"
    exit: 2
    --- stderr
    error: the following required arguments were not provided:
      <NAME>

    Usage: kubectl headscale create user --dry-run <WHERE> <NAME>

    For more information, try '--help'.
    ");
    assert_snapshot!(create(&env, &["instance", "vpn"]), @"
    exit: 2
    --- stderr
    error: where do clients connect to?
    hint: --server-url names the address that they reach, as in --server-url https://vpn.example.com
    ");
    assert_snapshot!(create(&env, &["instance", "Vpn", "--server-url", "https://a.example.com"]), @r#"
    exit: 2
    --- stderr
    error: the name "Vpn" is also a Service's: expected lower case letters, digits and '-', a letter first and no '-' last
    "#);
    assert_snapshot!(create(&env, &["autoapprover", "a", "--instance", "v", "--route", "10.0.0.0/40=tag:a"]), @r#"
    exit: 2
    --- stderr
    error: invalid value '10.0.0.0/40=tag:a' for '--route <CIDR=TAG[,TAG]>': "10.0.0.0/40" is no prefix: its length is at most 32

    For more information, try '--help'.
    "#);
    assert_snapshot!(create(&env, &["policy", "p", "--instance", "v"]), @"
    exit: 2
    --- stderr
    error: which policy?
    hint: --from-file names a file with one, --config-map a ConfigMap, --render a plugin
    ");
    assert_snapshot!(env.run(&["create", "user", "a", "--dry-run=wat"]), @"
    exit: 2
    --- stderr
    error: invalid value 'wat' for '--dry-run <WHERE>'
      [possible values: none, client, server]

    For more information, try '--help'.
    ");
}

#[test]
fn a_policy_that_headscale_refuses_is_not_sent_unless_forced() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", "{\n  \"acls\": [{\n    \"action\": \"accept\",\n    \"src\": [\"group:no\"],\n    \"dst\": [\"*:*\"]\n  }]\n}\n");
    let args = ["policy", "p", "--instance", "v", "--from-file", "policy.hujson"];
    assert_snapshot!(create(&env, &args), @r#"
    exit: 1
    --- stderr
    error[group-undefined]: group not defined in policy: "group:no"
     --> policy.hujson:4:13
      |
    4 |     "src": ["group:no"],
      |             ^^^^^^^^^^
      |
      = help: define it: "groups": {"group:no": ["alice@"]}

    1 error in 1 file
    error: Headscale would refuse the policy: nothing was sent
    hint: --force sends it all the same
    "#);
    let forced = create(&env, &[&args[..], &["--force"]].concat());
    assert_eq!(forced.code, Some(0), "{forced}");
}

#[test]
fn a_configuration_that_headscale_refuses_is_not_made_unless_forced() {
    let env = TestEnvironment::new();
    let args = [
        "instance",
        "vpn",
        "--server-url",
        "https://vpn.example.com",
        "--base-domain",
        "example.com",
    ];
    assert_snapshot!(create(&env, &args), @"
    exit: 1
    --- stderr
    error: spec.config.dns.base_domain: server_url cannot be part of base_domain in a way that could make the DERP and headscale server unreachable (config-server-in-base-domain)
    hint: give nodes a domain that vpn.example.com is not in
    error: Headscale 0.29 would not start with this configuration, or not do what it says
    hint: --force goes on all the same
    ");
    let forced = create(&env, &[&args[..], &["--force"]].concat());
    assert_eq!(forced.code, Some(0), "{forced}");
}

#[test]
fn commands_about_a_cluster_explain_themselves() {
    let env = TestEnvironment::new();
    for words in [
        &["create", "instance"][..],
        &["create", "user"],
        &["create", "preauthkey"],
        &["create", "policy"],
        &["create", "autoapprover"],
        &["render", "instance"],
        &["render", "crds"],
        &["install", "crds"],
        &["doctor"],
    ] {
        let long = env.run(&[words, &["--help"]].concat()).success();
        assert!(long.contains("Examples:\n  # "), "{words:?}");
        let asks_a_cluster = words != ["render", "crds"];
        assert_eq!(long.contains("Kubernetes options:"), asks_a_cluster, "{words:?}");
        let short = env.run(&[words, &["-h"]].concat()).success();
        assert!(!short.contains("Kubernetes options:"), "{words:?}");
    }
}

#[test]
fn users_of_headscale_and_of_the_kubeconfig_have_flags_of_their_own() {
    let env = TestEnvironment::new();
    let key = env.run(&["create", "preauthkey", "--help"]).success();
    assert!(key.contains("--user <NAME>") && key.contains("--kubeconfig-user <NAME>"), "{key}");
    let user = env.run(&["create", "user", "--help"]).success();
    assert!(user.contains("--username <NAME>"), "{user}");
    assert!(user.contains("--kubeconfig-username <NAME>"), "{user}");
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    let env = TestEnvironment::new();
    for text in ["0770", "no", "on", "1e3", "0x1f", "12:30:45", "1_000", "~", "null", "- a", " a"] {
        let name = format!("--display-name={text}");
        let args = ["user", "a", "--instance", "v", &name, "-o", "yaml"];
        let yaml = create(&env, &args).success();
        env.write("again.yaml", &yaml);
        let again = create(&env, &["user", "-f", "again.yaml", "-o", "yaml"]).success();
        assert_eq!(again, yaml, "{text:?}");
        assert!(!yaml.contains(&format!("displayName: {text}\n")), "{text:?}: {yaml}");
    }
}
