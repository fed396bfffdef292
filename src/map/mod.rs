//! [`Map`] and [`MapUnordered`]: a function over many items, lazily and within
//! bounds.
//!
//! Items are read when there is room for them in flight, and handed to workers
//! in chunks, so that a tiny item does not pay for a task of its own.
//! [`chunks`] does that for both; they differ in whom they wait for.

/// What can be set on both kinds, written once.
macro_rules! settings {
    () => {
        /// Sets how many tasks are in flight at most, results not yet taken
        /// included; 1024 by default.
        ///
        /// Items are read from the input only when there is room, so memory
        /// stays bounded on endless input. The counterpart of `buffersize` in
        /// Python 3.14.
        ///
        /// # Panics
        ///
        /// If `tasks` is 0: nothing would ever be read.
        ///
        /// # Examples
        ///
        /// ```
        /// use as_completed::ThreadPool;
        ///
        /// let pool = ThreadPool::new(4);
        /// let odd = pool.map_unordered(1_u64.., |n| n % 2).buffer(8).take(100);
        /// assert!(odd.map(Result::unwrap).sum::<u64>() > 0);
        /// ```
        pub fn buffer(mut self, tasks: usize) -> Self {
            self.chunks.buffer = NonZeroUsize::new(tasks).expect("buffer is at least one task");
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
        /// ```
        /// use as_completed::ThreadPool;
        ///
        /// let pool = ThreadPool::new(4);
        /// let sum: u64 = pool.map(0..1000, |n| n).chunk_size(100).map(Result::unwrap).sum();
        /// assert_eq!(sum, 499_500);
        /// ```
        pub fn chunk_size(mut self, items: usize) -> Self {
            self.chunks.chunk_size =
                NonZeroUsize::new(items).expect("chunk_size is at least one item");
            self
        }

        /// Bounds the whole iteration: yields `Ok(result)` until `timeout` has
        /// passed since this call, then one `Err` and no more.
        ///
        /// After the deadline nothing is read or submitted; results that are
        /// there already are still yielded. A read of the input that blocks
        /// is not cut short. Dropping it, as dropping the map, cancels what is pending. Waits
        /// without running tasks.
        ///
        /// # Examples
        ///
        /// ```
        /// use as_completed::{Inline, Unfinished};
        /// use std::time::Duration;
        ///
        /// let mut sum = 0;
        /// for result in Inline.map(1..=3, |n| n).timeout(Duration::MAX) {
        ///     sum += result?.unwrap();
        /// }
        /// assert_eq!(sum, 6);
        /// # Ok::<(), Unfinished>(())
        /// ```
        pub fn timeout(self, timeout: Duration) -> Timed<Self> {
            Timed::new(self, timeout)
        }
    };
}

mod chunks;
mod ordered;
mod unordered;

pub(crate) use chunks::Chunks;
pub use ordered::Map;
pub use unordered::MapUnordered;
