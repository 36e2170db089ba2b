//! `policy rules`

use headscale_acl::rules::{self, Rule};
use headscale_acl::{Severity, Source};
use insta::assert_snapshot;
use kubectl_headscale::rules_markdown;

use crate::environment::TestEnvironment;

#[test]
fn every_rule_is_listed() {
    let env = TestEnvironment::new();
    let ids: Vec<&str> = rules::all().map(|rule| rule.id).collect();
    let names = env.run(&["policy", "rules", "-o", "name"]).success();
    assert_eq!(names.lines().collect::<Vec<_>>(), ids);

    let table = env.run(&["policy", "rules"]).success();
    let first = |line: &str| line.split(' ').next().unwrap().to_owned();
    assert_eq!(table.lines().skip(1).map(first).collect::<Vec<_>>(), ids);
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["ID", "SEVERITY", "SOURCE", "SUMMARY"]);

    let json = env.run(&["policy", "rules", "-o", "json"]).success();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["rules"].as_array().unwrap().len(), ids.len());

    let markdown = env.run(&["policy", "rules", "-o", "markdown"]).success();
    for id in ids {
        assert!(markdown.contains(&format!("\n### {id}\n")), "{id}");
        assert!(markdown.contains(&env.run(&["policy", "rules", id, "-o", "markdown"]).success()));
    }
}

#[test]
fn a_rule_is_explained_with_an_example() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["policy", "rules", "syntax"]), @r#"
    exit: 0
    --- stdout
    syntax (error, headscale)
    the file is not HuJSON

    A policy is HuJSON: JSON with `//` and `/* */` comments and a trailing comma, and nothing else.
    Single quotes, names without quotes and `#` comments are JSON5 or YAML; `policy fmt --from
    json5|yaml` converts them. Headscale stops at the first mistake; this check reads on wherever it can
    tell what was meant.

    Bad:
        {'acls': []}

    Good:
        {"acls": []}
    "#);
    assert_snapshot!(env.run(&["policy", "rules", "syntax", "-o", "markdown"]), @r#"
    exit: 0
    --- stdout
    ### syntax

    **error**: the file is not HuJSON

    A policy is HuJSON: JSON with `//` and `/* */` comments and a trailing comma, and nothing else. Single quotes, names without quotes and `#` comments are JSON5 or YAML; `policy fmt --from json5|yaml` converts them. Headscale stops at the first mistake; this check reads on wherever it can tell what was meant.

    Bad:

    ```jsonc
    {'acls': []}
    ```

    Good:

    ```jsonc
    {"acls": []}
    ```
    "#);
    let json = env.run(&["policy", "rules", "syntax", "-o", "json"]).success();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["id"], "syntax");
    assert_eq!(json["source"], "headscale");
}

#[test]
fn a_page_has_a_table_for_each_source_and_a_section_for_each_rule() {
    static RULES: [Rule; 2] = [
        Rule {
            id: "tag-undefined",
            severity: Severity::Error,
            source: Source::Headscale,
            summary: "a tag has no owner in `src|dst`",
            explanation: "Add it to `tagOwners`.",
            bad: "{\"acls\": [\n]}\n",
            good: "{\"acls\": []}",
            versions: "0.28,0.29",
        },
        Rule {
            id: "everything-open",
            severity: Severity::Info,
            source: Source::Lint,
            summary: "an empty file allows everything",
            explanation: "It cannot be shown.",
            bad: "",
            good: "",
            versions: "",
        },
    ];
    assert_snapshot!(rules_markdown::page(&RULES), @r##"
    # Rules

    What `kubectl headscale policy check` can find. A rule's id never changes and is never reused; `kubectl headscale policy rules ID` prints the same text.

    ## Headscale

    Headscale refuses a policy that breaks one of these. Configuration cannot change their severity.

    | rule | severity | finds |
    | --- | --- | --- |
    | [`tag-undefined`](#tag-undefined) | error | a tag has no owner in `src\|dst` |

    ### tag-undefined

    **error**: a tag has no owner in `src|dst`

    Add it to `tagOwners`.

    Bad (Headscale 0.28, 0.29):

    ```jsonc
    {"acls": [
    ]}
    ```

    Good:

    ```jsonc
    {"acls": []}
    ```

    ## Lints

    Headscale accepts these, and people regret them. They run only where a policy has no errors, and configuration can change their severity. Those whose id starts with `tailnet-` are about the users and nodes of `--tailnet`, whatever the policy says.

    | rule | severity | finds |
    | --- | --- | --- |
    | [`everything-open`](#everything-open) | info | an empty file allows everything |

    ### everything-open

    **info**: an empty file allows everything

    It cannot be shown.
    "##);
}

#[test]
fn an_unknown_rule_brings_the_nearest() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["policy", "rules", "sintax"]), @r#"
    exit: 2
    --- stderr
    error: unknown rule "sintax"; did you mean "syntax"?
    hint: `kubectl headscale policy rules` lists all rules
    "#);
    assert_snapshot!(env.run(&["policy", "rules", "zzz"]), @r#"
    exit: 2
    --- stderr
    error: unknown rule "zzz"
    hint: `kubectl headscale policy rules` lists all rules
    "#);
}
