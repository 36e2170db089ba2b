//! The runtime that requests are made on.

use tokio::runtime::Builder;

use crate::error::CommandError;

/// Someone pressed Ctrl-C. A command says what it had done, and exits with
/// [`Exit::Interrupted`](crate::Exit::Interrupted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted;

/// Runs `future` to its end on a runtime of this thread.
///
/// # Errors
///
/// Those of `future`, or that the system gives no runtime.
pub(crate) fn block_on<T>(
    future: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| CommandError::usage(format!("cannot wait for the network: {error}")))?;
    let done = runtime.block_on(future);
    // A lookup of a name that hangs must not hold the process.
    runtime.shutdown_background();
    done
}

/// `future`, unless someone presses Ctrl-C first: without this the process just ends. To be used
/// around what must be told or tidied up.
///
/// # Errors
///
/// [`Interrupted`], once; where signals cannot be listened to, never.
pub(crate) async fn interruptible<T>(future: impl Future<Output = T>) -> Result<T, Interrupted> {
    tokio::select! {
        done = future => Ok(done),
        Ok(()) = tokio::signal::ctrl_c() => Err(Interrupted),
    }
}
