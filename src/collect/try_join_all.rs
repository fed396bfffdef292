//! [`try_join_all`]: all results, or the first error.

use super::as_completed::as_completed;
use crate::error::JoinError;
use crate::task::ScopedJoinHandle;

/// Blocks until all tasks have returned `Ok`, and returns their values in the
/// order of the handles; or until the first fails, and cancels the rest.
///
/// A task fails if it returns an `Err`, or if it has no result: it panicked, was
/// cancelled or was rejected. The result is nested as that of
/// [`join`](ScopedJoinHandle::join) is, so that `try_join_all(handles)??` are the
/// values. Does not wait for those that still run when one has failed: they are
/// asked to stop if they were submitted by `submit_cancellable`.
///
/// On a worker of a pool, it runs tasks of that pool as
/// [`AsCompleted`](crate::AsCompleted) does. The first *success* of several is in
/// the examples of [`cancel_on_drop`](crate::AsCompleted::cancel_on_drop).
///
/// # Errors
///
/// `Ok(Err(error))` with what the first task that failed has returned, or
/// [`JoinError`] if it has no result.
///
/// # Examples
///
/// ```
/// use as_completed::{try_join_all, ThreadPool};
/// use std::num::ParseIntError;
///
/// fn parse_all(pool: &ThreadPool, texts: &'static [&str]) -> Result<Vec<u32>, ParseIntError> {
///     let numbers = texts.iter().map(|text| pool.submit(move || text.parse()));
///     try_join_all(numbers).expect("parsing does not panic")
/// }
///
/// let pool = ThreadPool::new(2);
/// assert_eq!(parse_all(&pool, &["1", "2", "3"]), Ok(vec![1, 2, 3]));
/// assert!(parse_all(&pool, &["1", "two", "3"]).is_err());
/// ```
pub fn try_join_all<'scope, T, E, I>(handles: I) -> Result<Result<Vec<T>, E>, JoinError>
where
    I: IntoIterator<Item = ScopedJoinHandle<'scope, Result<T, E>>>,
    T: 'scope,
    E: 'scope,
{
    let mut all = as_completed(handles.into_iter().enumerate()).cancel_on_drop();
    let mut values: Vec<Option<T>> = Vec::new();
    values.resize_with(all.len(), || None);
    for (place, handle) in &mut all {
        match handle.join()? {
            Ok(value) => values[place] = Some(value),
            Err(error) => return Ok(Err(error)),
        }
    }
    // Each place was filled: all handles were yielded, each once.
    Ok(Ok(values.into_iter().flatten().collect()))
}
