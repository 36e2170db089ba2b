//! Notes for whoever writes the plugin; users do not see them. The host keeps the first 64 KiB of a
//! call.
//!
//! Outside of a component, as in tests, they go nowhere.

use crate::bindings::headscale::policy::log::Level;

/// Notes what went wrong.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Notes what is odd.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Notes what is good to know.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Notes a detail.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::headscale::policy::log::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
const fn write(_: Level, _: &str) {}

/// Has panics leave a note, as a trap carries no message. Does nothing outside of a component,
/// where they have a way of their own.
pub(crate) fn panics() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| std::panic::set_hook(Box::new(|panic| error(&panic.to_string()))));
    }
}
