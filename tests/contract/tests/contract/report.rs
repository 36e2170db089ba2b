//! What came of the cases.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Which cases passed and which failed, and why.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    /// Runs a case, which panics where it fails.
    pub(crate) async fn run(&mut self, name: &str, case: impl Future<Output = ()>) {
        let mut case = Box::pin(case);
        let result = poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| case.as_mut().poll(context))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(message(&*panic))),
            }
        });
        match result.await {
            Ok(()) => self.passed += 1,
            Err(why) => self.failed.push(format!("{name}: {why}")),
        }
    }

    /// Says how many passed; panics with those that did not.
    pub(crate) fn tell_and_assert(&self, server: &str) {
        let Self { passed, failed } = self;
        headscale_testkit::tell(&format!(
            "contract: {server}: {passed} cases passed, {} failed",
            failed.len()
        ));
        assert!(failed.is_empty(), "{server}:\n{}", failed.join("\n"));
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic without words").to_owned()
}
