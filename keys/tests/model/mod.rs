//! What models of protocols share: a search through everything that can happen, and processes whose
//! requests are lost, late or killed.

pub(crate) mod key_set;
pub(crate) mod processes;
pub(crate) mod search;
