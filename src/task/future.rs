//! A [`JoinHandle`](super::handle::JoinHandle) as a future.

use super::handle::ScopedJoinHandle;
use crate::error::JoinError;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Resolves to what [`join`](ScopedJoinHandle::join) returns.
///
/// Polling never runs the task and never blocks; only the last waker is called.
/// Dropping the handle detaches the task.
///
/// Do not block a worker until a task of the same pool can be polled ready, as a
/// `block_on(handle)` inside a task does: a pool whose workers all do that has
/// nobody left to run what they wait for. [`join`](ScopedJoinHandle::join) ends
/// there, because the worker runs the task itself.
///
/// # Examples
///
/// ```
/// use as_completed::ThreadPool;
///
/// let pool = ThreadPool::new(1);
/// let sum = async { pool.submit(|| 1).await.unwrap() + pool.submit(|| 2).await.unwrap() };
/// assert_eq!(pollster::block_on(sum), 3);
/// ```
impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If polled again after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.cell.watch_by_waker(context.waker()) {
            Poll::Pending
        } else {
            Poll::Ready(self.take())
        }
    }
}

impl<T> Drop for ScopedJoinHandle<'_, T> {
    fn drop(&mut self) {
        // A future that was polled and given up: its waker, and the whole task
        // of the runtime behind it, would stay until the closure has run.
        self.cell.released();
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::super::any_cell::{AnyCell, Ran};
    use super::super::handle::JoinHandle;
    use super::super::pending::{Pending, pending};
    use super::*;
    use std::sync::{Arc, mpsc};
    use std::task::{Wake, Waker};

    #[test]
    fn a_polled_handle_that_is_dropped_leaves_no_waker() {
        let (cell, mut handle) = pending();
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut handle).poll(&mut context).is_pending());
        assert_eq!(cell.watchers(), 1);
        drop(handle);
        assert_eq!(cell.watchers(), 0);
    }

    /// Says, when it is woken and when it is dropped, whether the task's lock is free.
    struct Looking(Pending, mpsc::Sender<(&'static str, bool)>);

    impl Looking {
        fn look(&self, when: &'static str) {
            let _ = self.1.send((when, !self.0.is_locked()));
        }
    }

    impl Wake for Looking {
        fn wake(self: Arc<Self>) {
            self.look("woken");
        }
    }

    impl Drop for Looking {
        fn drop(&mut self) {
            self.look("dropped");
        }
    }

    #[test]
    fn wakers_are_woken_and_dropped_outside_of_the_lock_of_the_task() {
        type End = fn(Pending, JoinHandle<i32>);
        let ends: [(End, bool); 3] = [
            (|cell, _handle| assert!(cell.run(None) == Ran::Yes), true),
            (|_, handle| drop(handle), false),
            (
                |_, mut handle| {
                    let mut context = Context::from_waker(Waker::noop());
                    assert!(Pin::new(&mut handle).poll(&mut context).is_pending());
                },
                false,
            ),
        ];
        for (end, wakes) in ends {
            let (cell, mut handle) = pending();
            let (sender, looks) = mpsc::channel();
            let waker = Waker::from(Arc::new(Looking(Arc::clone(&cell), sender)));
            let mut context = Context::from_waker(&waker);
            assert!(Pin::new(&mut handle).poll(&mut context).is_pending());
            drop(waker);
            end(cell, handle);
            let looks: Vec<_> = looks.iter().collect();
            let both = [("woken", true), ("dropped", true)];
            assert_eq!(looks, both[usize::from(!wakes)..]);
        }
    }
}
