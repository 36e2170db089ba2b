//! The real program under faults: of the API server, of Headscale, of its own process, and of what
//! people write.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a helper of a test fails by a panic, as the test does"
)]

mod bad_input;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/bench.rs"]
mod bench;
mod leaders;
mod matrix;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/program.rs"]
mod program;
mod stale;
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod world;
