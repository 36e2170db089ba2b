//! The plugin through the real kubectl, against a real API server that has the kinds.

mod completion;
mod create;
mod delete;
mod describe;
mod doctor;
mod get;
mod install;
mod instance;
mod instance_real;
mod instance_trouble;
#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test whose cluster cannot be set up fails"
)]
mod operator;
mod readme;
mod render;
#[expect(clippy::expect_used, reason = "a test whose cluster cannot be set up fails")]
mod support;
#[expect(clippy::expect_used, reason = "a test whose server cannot be set up fails")]
mod tls;
mod trouble;
#[expect(clippy::expect_used, reason = "a proxy that cannot be set up fails")]
mod tunnel;
#[expect(clippy::expect_used, reason = "a test whose cluster does not answer fails")]
mod wait;
#[expect(clippy::expect_used, reason = "a test whose instance cannot be set up fails")]
mod world;
