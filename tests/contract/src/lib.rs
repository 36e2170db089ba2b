//! What every implementation of the Headscale API must do: held against the stand-in in every mode,
//! always, and against real servers where `HEADSCALE_BIN` names them, as in
//! `HEADSCALE_BIN=0.28.0=/path/to/headscale,0.29.2=/path/to/another`.
//!
//! `tests/contract` is all there is: cases over what the client offers, and transcripts of what goes
//! over the wire below it.

#![forbid(unsafe_code)]
