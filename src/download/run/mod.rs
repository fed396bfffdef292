//! A run: the jobs that are to come, those that are worked at, and the loop
//! that turns them into a report.

mod budget;
mod names;

mod context;
mod queue;

mod attempts;

mod run_loop;

pub(super) use run_loop::run;
