//! The clock of all calls: an engine's epoch, which goes on while there is a call.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// How long an epoch takes.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Counts epochs in a thread of its own, which starts with the first call and ends with the value.
#[derive(Default)]
pub(crate) struct Ticker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    started: bool,
    closed: bool,
    calls: usize,
}

/// A call: epochs go on as long as there is one.
pub(crate) struct Running(Arc<Shared>);

impl Ticker {
    /// Notes that a call runs until the answer is dropped. Where no thread can be started, calls are
    /// limited by fuel alone.
    pub(crate) fn run(&self, engine: &Engine) -> Running {
        let mut state = self.0.lock();
        state.calls += 1;
        if !state.started {
            let (shared, engine) = (Arc::clone(&self.0), engine.weak());
            let name = "plugin-clock".to_owned();
            state.started =
                thread::Builder::new().name(name).spawn(move || tick(&shared, &engine)).is_ok();
        }
        self.0.changed.notify_all();
        Running(Arc::clone(&self.0))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    let mut state = shared.lock();
    loop {
        state = if state.calls == 0 && !state.closed {
            shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
        } else {
            let waited = shared.changed.wait_timeout(state, TICK);
            let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            // Woken by another call, less than a tick has gone by.
            if timeout.timed_out()
                && let Some(engine) = engine.upgrade()
            {
                engine.increment_epoch();
            }
            state
        };
        if state.closed {
            return;
        }
    }
}
