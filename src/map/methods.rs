//! [`map_methods`]: what a map can do, whichever of the two kinds it is.

/// Gives a map its settings and its traits. Given are its type and the method of an
/// executor that makes it, for the examples.
macro_rules! map_methods {
    ($map:ident, $method:literal) => {
        impl<'a, I: Iterator, R> $map<'a, I, R> {
            /// Sets how many tasks are in flight at most, results not yet taken
            /// included; 1024 by default.
            ///
            /// The counterpart of `buffersize` in Python 3.14.
            ///
            /// # Panics
            ///
            /// If `tasks` is 0: nothing would ever be read.
            ///
            /// # Examples
            ///
            #[doc = concat!("```
use as_completed::ThreadPool;

let pool = ThreadPool::new(4);
let odd = pool.", $method, "(1_u64.., |n| n % 2).buffer(8).take(100);
assert!(odd.map(Result::unwrap).sum::<u64>() > 0); // 108 numbers are read at most
```")]
            pub fn buffer(mut self, tasks: usize) -> Self {
                self.pipeline.chunks.settings.set_buffer(tasks);
                self
            }

            /// Sets how many items make a task; 1 by default.
            ///
            /// Large chunks make tiny items cheap; small ones spread the work more
            /// evenly and give the first results sooner.
            ///
            /// # Panics
            ///
            /// If `items` is 0.
            ///
            /// # Examples
            ///
            #[doc = concat!("```
use as_completed::ThreadPool;

let pool = ThreadPool::new(4);
let sum: u64 = pool.", $method, "(0..1000, |n| n).chunk_size(100).map(Result::unwrap).sum();
assert_eq!(sum, 499_500);
```")]
            pub fn chunk_size(mut self, items: usize) -> Self {
                self.pipeline.chunks.settings.set_chunk_size(items);
                self
            }

            /// Reads the input on a thread of its own, which starts at the first `next`.
            ///
            /// Then no result waits for a read, and the input may wait for results that
            /// it is to be made of. The thread reads one item at a time, when there is
            /// room for it. It ends with the input, or after the map is dropped, with
            /// the read that is going on. A chunk that is not complete is submitted if
            /// nothing else is in flight. If the thread cannot be started, the only
            /// result is [`JoinError::Rejected`](crate::JoinError::Rejected).
            ///
            /// # Examples
            ///
            #[doc = concat!("```
use as_completed::ThreadPool;
use std::sync::mpsc;

let pool = ThreadPool::new(4);
let (sender, numbers) = mpsc::channel();
sender.send(1)?;
let mut doubled = pool.", $method, "(numbers, |n| 2 * n).read_in_background();
assert_eq!(doubled.next().unwrap().unwrap(), 2); // though the channel blocks
sender.send(2)?;
assert_eq!(doubled.next().unwrap().unwrap(), 4);
# Ok::<(), mpsc::SendError<i32>>(())
```")]
            pub fn read_in_background(self) -> Self
            where
                I: Send + 'static,
                I::Item: Send + 'static,
            {
                Self {
                    pipeline: self.pipeline.read_in_background(),
                }
            }

            /// Cancels `token` when the map is dropped, after the pending tasks.
            ///
            /// Give the function a clone of it, to have running items stop early.
            ///
            /// # Examples
            ///
            #[doc = concat!("```
use as_completed::{CancelToken, ThreadPool};
use std::time::Duration;

let pool = ThreadPool::new(2);
let token = CancelToken::new();
let seen = token.clone();
let mut naps = pool
    .", $method, "([0, u64::MAX], move |seconds| seen.sleep(Duration::from_secs(seconds)))
    .cancel_on_drop(token);
assert_eq!(naps.next().transpose()?, Some(true));
drop(naps);
pool.join(); // nobody sleeps on
# Ok::<(), as_completed::JoinError>(())
```")]
            pub fn cancel_on_drop(mut self, token: crate::task::CancelToken) -> Self {
                self.pipeline.chunks.settings.token = Some(token);
                self
            }

            /// Bounds the whole iteration: yields `Ok(result)` until `timeout` has
            /// passed since this call, then one `Err` and no more.
            ///
            /// After the deadline nothing is read or submitted; results that are
            /// ready are still yielded. A read of the input that blocks is not cut
            /// short, unless it is [in the background](Self::read_in_background). Waits
            /// without running tasks.
            ///
            /// # Examples
            ///
            #[doc = concat!("```
use as_completed::{ThreadPool, UnfinishedError};
use std::time::Duration;

let pool = ThreadPool::new(2);
let mut sum = 0;
for result in pool.", $method, "(1..=3, |n| n).timeout(Duration::from_secs(60)) {
    sum += result?.unwrap();
}
assert_eq!(sum, 6);
# Ok::<(), UnfinishedError>(())
```")]
            pub fn timeout(self, timeout: std::time::Duration) -> crate::collect::Timed<Self> {
                crate::collect::Timed::new(self, timeout)
            }
        }

        impl<I: Iterator, R> Iterator for $map<'_, I, R> {
            type Item = Result<R, crate::error::JoinError>;

            fn next(&mut self) -> Option<Self::Item> {
                self.pipeline.next()
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.pipeline.size_hint()
            }
        }

        impl<I: Iterator, R> std::iter::FusedIterator for $map<'_, I, R> {}

        impl<I: Iterator, R> crate::collect::NextBefore for $map<'_, I, R> {
            fn next_before(
                &mut self,
                deadline: Option<std::time::Instant>,
            ) -> Result<Option<Self::Item>, crate::error::UnfinishedError> {
                let patience = super::pipeline::Patience::until(deadline);
                self.pipeline.next_within(patience)
            }
        }

        impl<I: Iterator, R> Iterator for crate::collect::Timed<$map<'_, I, R>> {
            type Item = Result<Result<R, crate::error::JoinError>, crate::error::UnfinishedError>;

            fn next(&mut self) -> Option<Self::Item> {
                self.next_in_time()
            }
        }

        impl<I: Iterator, R> std::iter::FusedIterator for crate::collect::Timed<$map<'_, I, R>> {}

        impl<I: Iterator, R> std::fmt::Debug for $map<'_, I, R> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.pipeline.fmt(stringify!($map), f)
            }
        }
    };
}
pub(super) use map_methods;
