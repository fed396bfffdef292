//! How a thread waits for a task: it blocks, or runs the task itself.

use super::any_cell::AnyCell;
use super::claim::{Claim, Claimer};
use super::watch::{Key, Watcher};
use crate::sync::{Parker, spin_until};
use std::time::Instant;

/// Blocks until the task is final; a worker of its pool runs it, if it has not
/// started and nobody else is free to.
pub(super) fn run_or_wait(cell: &(dyn AnyCell + '_)) {
    if cell.is_final() || cell.finish_here() {
        return;
    }
    match Claimer::current() {
        None => {
            block(cell, None);
        }
        Some(claimer) if claimer.try_claim(cell) == Claim::Ran => {}
        Some(claimer) => wait_or_run(cell, &claimer),
    }
}

/// Blocks until the task is final, which others are to bring about; when they no
/// longer are free to, or the task joins the pool only now, it runs here.
fn wait_or_run(cell: &(dyn AnyCell + '_), claimer: &Claimer) {
    if spin_until(|| cell.is_final()) {
        return;
    }
    let parker = Parker::new();
    if cell.watch(Watcher::Thread(parker.unparker())).is_err() {
        return;
    }
    let key = Key::of_thread(&parker);
    while !cell.is_final() {
        // Woken for any reason, or for none: without this, each stray wake-up
        // would leave one more watcher at the gauge.
        claimer.unwatch(&key);
        let claim = claimer.claim_or_watch(cell, || Watcher::Thread(parker.unparker()));
        if claim != Claim::Ran && !cell.is_final() {
            parker.park(None);
        }
    }
    claimer.unwatch(&key);
}

/// Blocks until the task is final or the deadline has passed; says whether it
/// is final.
pub(super) fn block(cell: &(dyn AnyCell + '_), deadline: Option<Instant>) -> bool {
    if spin_until(|| cell.is_final()) {
        return true;
    }
    let parker = Parker::new();
    if cell.watch(Watcher::Thread(parker.unparker())).is_err() {
        return true;
    }
    loop {
        parker.park(deadline);
        if cell.is_final() {
            return true;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            // Otherwise a thread that waits repeatedly would leave a watcher
            // behind each time.
            cell.unwatch(&Key::of_thread(&parker));
            return cell.is_final();
        }
    }
}
