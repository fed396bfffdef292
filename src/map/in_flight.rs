//! The chunks of a map that have been submitted and not taken: in the order of
//! the items, or in that of their completion.

use super::chunks::Chunk;
use crate::collect::{AsCompleted, NextBefore};
use crate::sync::Parker;
use crate::task::{FullQueues, Key, NUDGE, Watcher};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chunks in flight, of which one is the next to be taken.
pub(super) trait InFlight<'a, R: 'a> {
    fn len(&self) -> usize;

    fn push(&mut self, chunk: Chunk<'a, R>);

    /// Takes the next one if it is final.
    fn next_ready(&mut self) -> Option<Chunk<'a, R>>;

    /// Takes the next one, for whoever joins it: that, or this, blocks until it
    /// is final, and on a worker may run tasks of these. `None` if there is none.
    fn next_to_join(&mut self) -> Option<Chunk<'a, R>>;

    /// Takes the next one if it is final before the deadline, if there is one;
    /// blocks until then and runs no tasks.
    fn next_before(&mut self, deadline: Option<Instant>) -> Option<Chunk<'a, R>>;

    /// Takes the next one if it is final; else blocks until it may be, until one of
    /// the queues may have room, or until the deadline. Runs no tasks.
    fn next_or_room(
        &mut self,
        full: &FullQueues,
        deadline: Option<Instant>,
    ) -> Option<Chunk<'a, R>>;

    fn iter<'s>(&'s self) -> impl Iterator<Item = &'s Chunk<'a, R>>
    where
        'a: 's;
}

impl<'a, R: 'a> InFlight<'a, R> for VecDeque<Chunk<'a, R>> {
    fn len(&self) -> usize {
        self.len()
    }

    fn push(&mut self, chunk: Chunk<'a, R>) {
        self.push_back(chunk);
    }

    fn next_ready(&mut self) -> Option<Chunk<'a, R>> {
        if self.front()?.1.is_finished() {
            self.pop_front()
        } else {
            None
        }
    }

    fn next_to_join(&mut self) -> Option<Chunk<'a, R>> {
        self.pop_front()
    }

    fn next_before(&mut self, deadline: Option<Instant>) -> Option<Chunk<'a, R>> {
        let left = deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        if self.front()?.1.wait_timeout(left).is_ok() {
            self.pop_front()
        } else {
            None
        }
    }

    fn next_or_room(
        &mut self,
        full: &FullQueues,
        deadline: Option<Instant>,
    ) -> Option<Chunk<'a, R>> {
        let parker = Parker::new();
        let (watcher, key) = (
            || Watcher::Thread(parker.unparker()),
            Key::of_thread(&parker),
        );
        let next = self.front().map(|(_, handle)| handle.cell());
        if next.is_none_or(|cell| cell.watch(watcher()).is_ok()) {
            if full.watch(watcher) {
                // Once: the caller looks again, whatever has ended it.
                parker.park(deadline);
            }
            full.unwatch(&key);
            if let Some(cell) = next {
                cell.unwatch(&key);
            }
        }
        self.next_ready()
    }

    fn iter<'s>(&'s self) -> impl Iterator<Item = &'s Chunk<'a, R>>
    where
        'a: 's,
    {
        self.iter()
    }
}

impl<'a, R: 'a> InFlight<'a, R> for AsCompleted<Chunk<'a, R>> {
    fn len(&self) -> usize {
        ExactSizeIterator::len(self)
    }

    fn push(&mut self, chunk: Chunk<'a, R>) {
        self.push(chunk);
    }

    fn next_ready(&mut self) -> Option<Chunk<'a, R>> {
        self.next_ready()
    }

    fn next_to_join(&mut self) -> Option<Chunk<'a, R>> {
        self.next()
    }

    fn next_before(&mut self, deadline: Option<Instant>) -> Option<Chunk<'a, R>> {
        NextBefore::next_before(self, deadline).ok().flatten()
    }

    fn next_or_room(
        &mut self,
        full: &FullQueues,
        deadline: Option<Instant>,
    ) -> Option<Chunk<'a, R>> {
        let completions = Arc::clone(self.completions());
        let watcher = || Watcher::Completion(Arc::clone(&completions), NUDGE);
        let next = if full.watch(watcher) {
            self.next_or_nudge(deadline)
        } else {
            self.next_ready()
        };
        full.unwatch(&Key::Completion(&completions));
        next
    }

    fn iter<'s>(&'s self) -> impl Iterator<Item = &'s Chunk<'a, R>>
    where
        'a: 's,
    {
        self.handles()
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;
    use crate::collect::as_completed;
    use crate::error::JoinError;
    use crate::task::{Capacity, Cell, JoinHandle};

    type Results = Vec<Result<i32, JoinError>>;

    /// Waits in vain for a chunk, or for room in a full queue, again and again.
    fn leaves_no_watcher<Q: InFlight<'static, i32>>(
        in_flight: impl FnOnce(Chunk<'static, i32>) -> Q,
    ) {
        let cell = Arc::new(Cell::new(Results::new, ()));
        let handle: JoinHandle<Results> = JoinHandle::new(Arc::clone(&cell) as _);
        let mut in_flight = in_flight((1, handle));
        let registered = cell.watchers();
        let queue = Capacity::new(u32::MAX - 2, 1, None);
        assert!(queue.try_take());
        let ((), full) = FullQueues::of(|| FullQueues::note(&queue));
        for _ in 0..3 {
            assert!(
                in_flight
                    .next_or_room(&full, Some(Instant::now()))
                    .is_none()
            );
            assert_eq!((cell.watchers(), queue.watchers()), (registered, 0));
        }
        // Room, and nothing to wait for any more.
        queue.free(1);
        assert!(in_flight.next_or_room(&full, None).is_none());
        assert_eq!((cell.watchers(), queue.watchers()), (registered, 0));
    }

    #[test]
    fn a_wait_for_room_leaves_no_watcher() {
        leaves_no_watcher(|chunk| VecDeque::from([chunk]));
        leaves_no_watcher(|chunk| as_completed([chunk]));
    }
}
