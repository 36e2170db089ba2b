//! Runs policy plugins.
