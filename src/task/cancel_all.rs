//! [`cancel_all`]: several tasks cancelled together.

use super::any_cell::AnyCell;
use super::watch::Watchers;

/// Cancels the tasks that have not started, asks the running ones to stop, and
/// returns how many it cancelled.
///
/// All that can be final are so before foreign code runs, which may wait for
/// another of them: a callback of one, or what the end of a token calls.
pub(crate) fn cancel_all<'a>(tasks: impl Iterator<Item = &'a (dyn AnyCell + 'a)> + Clone) -> usize {
    let mut cancelled = 0;
    let mut to_notify = Vec::new();
    for task in tasks.clone() {
        if let Some(watchers) = task.withdraw(None) {
            cancelled += 1;
            if !matches!(watchers, Watchers::None) {
                to_notify.push((task.id(), watchers));
            }
        }
    }
    for task in tasks {
        task.cancel();
    }
    for (id, watchers) in to_notify {
        watchers.notify(id);
    }
    cancelled
}
