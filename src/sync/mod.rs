//! The one door through which the crate takes its locks, atomics, threads and
//! channels.
//!
//! Everything that races goes through here, so that the models in
//! `tests/loom/` (built with `--cfg as_completed_loom`) run the crate's own
//! code on loom's versions of the same things.

#[cfg(as_completed_loom)]
mod modelled;
#[cfg(not(as_completed_loom))]
mod native;

#[cfg(as_completed_loom)]
pub(crate) use modelled::*;
#[cfg(not(as_completed_loom))]
pub(crate) use native::*;
