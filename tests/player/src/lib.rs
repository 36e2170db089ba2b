//! Plays the pods of Headscale on an API server that has no nodes: a [`Player`] runs a stand-in
//! Headscale, or a real one, and the real sidecar for each pod of a namespace, and tells the API
//! server of them as a kubelet does.
//!
//! What it knows are the containers of an instance. Those named `headscale` are the stand-in of the
//! version that is their image's tag, or the program that `HEADSCALE_BIN` names for it
//! (`0.28.0=PATH,0.29.2=PATH`). Those named `apikey-manager` and `backup` are the sidecar, which
//! runs as a process of the test's own program: see [`program`]. Others do nothing, and are ready.
//!
//! Volumes are directories; those of claims outlive their pods. Containers share the network of the
//! machine, so their ports are other ones, of 127.0.0.1: configuration and flags are changed to fit,
//! and [`Player::address`] is a Service whose port stays. Of probes there is the one for readiness.

#![forbid(unsafe_code)]

mod container;
mod environment;
mod forwarder;
mod headscale;
mod image;
mod player;
mod pod;
mod probe;
mod program;
mod status;
mod volumes;
mod world;

pub use player::Player;
pub use program::program;
pub use world::Start;
