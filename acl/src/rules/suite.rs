//! Rules of suites, checked in `suite.rs`. They are broken by a policy and a suite together, so they
//! have no examples.

super::rules! { Suite;

SUITE_TEST_FAILED = "suite-test-failed", Error, "a test of a suite that fails" {
    "An entry of `tests` in a suite is about all sources and all destinations (or about any, with \
     `match: any`), in both address families and by the exact protocol. The finding names a pair of \
     nodes that breaks it."
    bad: "";
    good: "";
}

SUITE_INVARIANT_BROKEN = "suite-invariant-broken", Error, "an invariant of a suite that does not hold" {
    "`never`: nobody of `from` reaches anyone of `to`. `always`: all of `from` reach all of `to`. \
     `only`: nobody but `from` reaches anyone of `to`. The finding names a pair of nodes that \
     breaks it."
    bad: "";
    good: "";
}

SUITE_ENTRY_INVALID = "suite-entry-invalid", Error, "an entry of a suite that cannot be judged" {
    "It names what neither the policy nor the tailnet has, has ports that cannot be read, or says \
     that something is reached without saying on which port."
    bad: "";
    good: "";
}

SUITE_VACUOUS = "suite-vacuous", Warning, "an entry of a suite that proves nothing" {
    "Nobody is behind one of its names, so it holds whatever the policy says. It will mean \
     something once there is such a node."
    bad: "";
    good: "";
}

}
