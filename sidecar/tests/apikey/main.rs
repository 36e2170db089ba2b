//! The real program against a real API server and a stand-in Headscale.
//!
//! What is promised, and where it is held:
//!
//! | | promise | held by |
//! | --- | --- | --- |
//! | P1 | the key in the Secret works | `faulty::Watcher`, in `kill`, `two`, `trouble` |
//! | P2 | a key is tried before it is published | `life`, `trouble::a_url_of_another_server…` |
//! | P3 | at most one unused key, and it is named | `kill`, `keys/tests/exhaustive` |
//! | P4 | a replaced key lives out its grace | `life`, `clock::a_consumer…`, `keys/tests/lifecycle` |
//! | P5 | what is not ours is left alone | `Bench::ours` everywhere, `trouble::somebody_elses…` |
//! | P6 | of several, one wins | `two`, `keys/tests/exhaustive` |
//! | P7 | it comes to rest, and writes nothing then | `Bench::is_at_rest`, `life::in_rest…` |
//! | P8 | attempts are bounded | `keys/tests/plan.rs`, `clock`, `trouble::an_api_server…` |
//! | P9 | it heals | `trouble`, `keys/tests/lifecycle` |
//! | P10 | nothing tells a secret | `Bench::tells_no_secret`, `keys/tests/formats.rs` |
//! | P11 | key and description change at once | `faulty::Watcher` |
//! | P12 | it ends when it is told to | `life::a_manifest…`, `trouble::a_headscale…` |

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a helper of a test fails by a panic, as the test does"
)]

mod bench;
mod clock;
mod faulty;
mod http;
mod kill;
mod life;
mod real;
mod trouble;
mod two;
