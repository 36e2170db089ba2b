//! Names and versions.

use headscale_acl::Version::{self, V0_28, V0_29, V0_30};
use headscale_api::desired::{check_name, release};

#[test]
fn a_name_is_refused_that_a_service_or_a_pod_cannot_carry() {
    for good in ["a", "demo", "my-headscale-2", &"x".repeat(52)] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    for bad in ["", "1st", "-a", "a-", "a.b", "Demo", "ä", &"x".repeat(53)] {
        let error = check_name(bad).expect_err(bad);
        assert!(error.to_string().contains("expected"), "{error}");
    }
}

#[test]
fn a_version_that_is_not_known_counts_as_the_nearest() {
    let cases: [(&str, Version); 16] = [
        ("v0.28.0", V0_28),
        ("0.29", V0_29),
        ("0.29.2-debug", V0_29),
        ("0.30.0-beta.1", V0_30),
        ("v0.27.1", V0_28),
        ("0.2", V0_28),
        ("0.31.4", V0_30),
        ("1.0.0", V0_30),
        ("v12.3", V0_30),
        ("latest", V0_29),
        ("*", V0_29),
        ("0.*", V0_29),
        ("0", V0_29),
        ("", V0_29),
        ("0.99999999999999999999999", V0_29),
        ("0.290", V0_30),
    ];
    for (text, expected) in cases {
        assert_eq!(release(text), expected, "{text}");
    }
}
