//! `version`

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

#[test]
fn versions_of_the_client_and_of_headscale() {
    let env = TestEnvironment::new();
    let version = |format| {
        let text = env.run(&["version", "-o", format]).success();
        text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
    };
    assert_snapshot!(version("text"), @"
    Client Version: [VERSION]
    Headscale Versions: 0.28, 0.29 (default), 0.30
    ");
    assert_snapshot!(version("json"), @r#"
    {
      "clientVersion": "[VERSION]",
      "headscaleVersions": [
        "0.28",
        "0.29",
        "0.30"
      ],
      "defaultHeadscaleVersion": "0.29"
    }
    "#);
    assert_snapshot!(version("yaml"), @r#"
    clientVersion: "[VERSION]"
    headscaleVersions:
    - "0.28"
    - "0.29"
    - "0.30"
    defaultHeadscaleVersion: "0.29"
    "#);
}
