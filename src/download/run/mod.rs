//! A run: the jobs that are to come, those that are worked at, and the loop
//! that hands them to the executor.
//!
//! The caller reads a job, hands it to the executor and waits for the next place
//! to be free. A worker makes the attempts at its job, and puts the outcome into
//! the report itself, since the caller may be reading, which may take any time. An
//! observer that borrows from the caller has a thread of its own, which does the latter.

mod budget;
mod happening;
mod in_turn;
mod names;
mod queue;
mod relay;

mod context;

mod attempts;

mod assigned;

mod run_loop;

pub(super) use run_loop::{run, run_scoped};
