//! The real program against a real API server and a stand-in Headscale, under the role that is
//! shipped.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a helper of a test fails by a panic, as the test does"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod bench;
mod headscale;
mod headscale_takeover;
mod headscale_versions;
mod instance;
mod keys;
mod kill;
mod lease;
mod many;
mod policies;
mod policy_faults;
mod policy_files;
mod policy_modes;
mod policy_plugins;
mod program;
mod reissue;
mod reissue_attacks;
mod reissue_faults;
mod reissue_tailscaled;
mod replica;
mod users;
