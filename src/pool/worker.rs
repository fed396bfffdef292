//! The life of a worker: one thread of a pool.

use super::core::Core;
use crate::unwind;
use std::sync::Arc;

/// Enters the pool, works until there is no more to do, and has left.
///
/// Never panics: all foreign code runs behind [`unwind`](crate::unwind).
pub(super) fn live(core: Arc<Core<'_>>, index: usize) {
    if core.enter(index) {
        core.work(index);
    }
    // The last to leave drops the pool, its initializer included.
    unwind::discard(core);
}
