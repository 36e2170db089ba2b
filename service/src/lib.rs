//! What the programs share that run for long: the operator and the sidecar.
//!
//! - [`program`]: from arguments to the code that the process ends with;
//! - [`logging`]: where logs go and how they look;
//! - [`durations`]: durations on the command line;
//! - [`kubernetes`]: how the API server is reached, and how long its answers may take;
//! - [`http_server`]: health and metrics;
//! - [`pause`]: how long to wait.

#![forbid(unsafe_code)]

pub mod durations;
pub mod http_server;
pub mod kubernetes;
pub mod logging;
pub mod pause;
pub mod program;
