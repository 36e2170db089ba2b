//! The sidecar as a process: the test's own program, which runs one test.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// The test that is the sidecar.
const TEST: &str = "plays_a_container";
/// The variable with its arguments, as a list in JSON.
const ARGUMENTS: &str = "HEADSCALE_PLAYER_ARGUMENTS";

/// The sidecar as a process of its own. Each test target that starts a player has, at its root:
///
/// ```text
/// #[test]
/// #[ignore = "the player runs it"]
/// fn plays_a_container() -> ExitCode {
///     headscale_player::program(|arguments| headscale_sidecar::cli::main(arguments))
/// }
/// ```
///
/// `main` is called with the program's name and its arguments. Nothing happens where no player
/// asked for it.
pub fn program(main: impl FnOnce(Vec<OsString>) -> ExitCode) -> ExitCode {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return ExitCode::SUCCESS };
    let arguments: Vec<String> = serde_json::from_str(&arguments).expect("a player's list");
    let name = "headscale-sidecar".to_owned();
    main(std::iter::once(name).chain(arguments).map(OsString::from).collect())
}

/// What starts it, with nothing in its environment but its arguments.
pub(crate) fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", TEST, "--ignored", "--nocapture", "--quiet", "--test-threads=1"])
        .env_clear()
        .env(ARGUMENTS, serde_json::to_string(arguments).expect("JSON"));
    command
}
