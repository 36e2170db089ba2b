//! Any bytes: the whole check does not panic, points only into the text, and offers only fixes that
//! can be applied.

#![no_main]

use headscale_acl::hujson::apply;
use headscale_acl::{Options, Version, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let each = Version::ALL.each_ref().map(std::slice::from_ref);
    for versions in each.into_iter().chain([&Version::ALL[..]]) {
        let options = Options {
            versions,
            ..Options::default()
        };
        for finding in check(bytes, &options).findings {
            if let Some(span) = finding.span {
                let fits = span.start <= span.end && span.end as usize <= bytes.len();
                assert!(fits, "outside the text: {finding:?}");
            }
            if let (Some(fix), Ok(text)) = (&finding.fix, std::str::from_utf8(bytes)) {
                assert!(
                    apply(text, &fix.edits).is_ok(),
                    "cannot be applied: {finding:?}"
                );
            }
        }
    }
});
