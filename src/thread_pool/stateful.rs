//! [`StatefulPool`]: tasks that are given what their worker keeps for them.

use super::ThreadPool;
use super::builder::ThreadPoolBuilder;
use crate::error::{BuildError, InitializerError, JoinError, Rejected, SubmitError};
use crate::sync::thread_local;
use crate::task::{CancelToken, JoinHandle, Work, launch, offer, worker_index};
use crate::unwind;
use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

/// Makes the state of the worker of that index.
type Make<S> = dyn Fn(usize) -> Result<S, Box<dyn Error + Send + Sync>> + Send + Sync;

/// A thread pool whose workers each keep a state, such as a connection, which every
/// task is given as `&mut S`; made by
/// [`build_with_state`](ThreadPoolBuilder::build_with_state).
///
/// A worker makes its state for the first task that it runs, keeps it for the next,
/// and drops it when it ends. The state never leaves its thread, so it need not be
/// `Send`. A task that panics takes its state along; the next one is given a new one.
/// A task that a worker runs because another of its tasks waits for it, inside of that
/// one, is given another state, which the worker keeps as well.
///
/// Dropping the pool does what dropping its [`ThreadPool`] does.
///
/// # Examples
///
/// ```
/// use as_completed::{StatefulPool, ThreadPool};
/// use std::fs::File;
/// use std::io::Write;
///
/// let folder = std::env::temp_dir();
/// let pool: StatefulPool<File> = ThreadPool::builder()
///     .max_workers(2)
///     .build_with_state(move |index| Ok(File::create(folder.join(format!("{index}.log")))?))?;
/// let lines = ["one", "two"].map(|line| pool.submit(move |log| writeln!(log, "{line}")));
/// for line in lines {
///     line.join()??;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StatefulPool<S> {
    pool: ThreadPool,
    make: Arc<Make<S>>,
}

impl ThreadPoolBuilder {
    /// Creates a pool whose workers each keep a state that `make` returns, given the
    /// index of the worker; see [`StatefulPool`]. Starts no thread yet.
    ///
    /// If `make` fails, the task for which it was called resolves to
    /// [`Rejected::Initializer`](crate::Rejected::Initializer), and the next task of
    /// that worker has it called again.
    ///
    /// # Errors
    ///
    /// [`BuildError`] as for [`build`](Self::build).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder()
    ///     .max_workers(1)
    ///     .build_with_state(|index| Ok(vec![index]))?;
    /// pool.submit(|numbers| numbers.push(4)).wait();
    /// assert_eq!(pool.submit(|numbers| numbers.len()).join().unwrap(), 2);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn build_with_state<S: 'static>(
        self,
        make: impl Fn(usize) -> Result<S, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Result<StatefulPool<S>, BuildError> {
        Ok(StatefulPool {
            pool: self.build()?,
            make: Arc::new(make),
        })
    }
}

impl<S: 'static> StatefulPool<S> {
    /// Submits a closure that is given the state of its worker, and returns the handle
    /// of its task; see [`ExecutorExt::submit`](crate::ExecutorExt::submit).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().build_with_state(|_| Ok(String::new()))?;
    /// assert_eq!(pool.submit(|text| text.len()).join().unwrap(), 0);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn submit<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        launch(self.given(closure), (), |task| self.pool.core.submit(task))
    }

    /// Submits a closure that is given the state of its worker, or gives it back; never
    /// waits for room. See [`ExecutorExt::try_submit`](crate::ExecutorExt::try_submit).
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the closure and the reason if it is not taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().build_with_state(|_| Ok(4))?;
    /// pool.thread_pool().shutdown();
    /// let error = pool.try_submit(|number| *number).unwrap_err();
    /// assert_eq!(error.into_closure()(&mut 5), 5);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn try_submit<F, T>(&self, closure: F) -> Result<JoinHandle<T>, SubmitError<F>>
    where
        F: FnOnce(&mut S) -> T + Send + 'static,
        T: Send + 'static,
    {
        let offered = offer(self.given(closure), (), |task| {
            self.pool.core.try_submit(task)
        });
        offered.map_err(|error| {
            let reason = error.reason().clone();
            SubmitError::new(error.into_closure().closure, reason)
        })
    }

    /// Submits a closure that is given the state of its worker and a token; see
    /// [`ExecutorExt::submit_cancellable`](crate::ExecutorExt::submit_cancellable).
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().build_with_state(|_| Ok(4))?;
    /// let handle = pool.submit_cancellable(|number, token| (*number, token.is_cancelled()));
    /// assert_eq!(handle.join().unwrap(), (4, false));
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    pub fn submit_cancellable<F, T>(&self, closure: F) -> JoinHandle<T>
    where
        F: FnOnce(&mut S, CancelToken) -> T + Send + 'static,
        T: Send + 'static,
    {
        let token = CancelToken::new();
        let seen = token.clone();
        let work = self.given(move |state: &mut S| closure(state, seen));
        launch(work, token, |task| self.pool.core.submit(task))
    }

    /// Returns the pool itself: for tasks that need no state, to look into it, and to
    /// shut it down.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::builder().max_workers(3).build_with_state(|_| Ok(()))?;
    /// assert_eq!(pool.thread_pool().max_workers(), 3);
    /// # Ok::<(), as_completed::BuildError>(())
    /// ```
    #[must_use]
    pub fn thread_pool(&self) -> &ThreadPool {
        &self.pool
    }

    fn given<F>(&self, closure: F) -> Given<F, S> {
        Given {
            closure,
            make: Arc::clone(&self.make),
        }
    }
}

impl<S> fmt::Debug for StatefulPool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatefulPool")
            .field("thread_pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// A closure that is to be given the state of the worker that runs it.
struct Given<F, S> {
    closure: F,
    make: Arc<Make<S>>,
}

impl<F, S, T> Work<T> for Given<F, S>
where
    F: FnOnce(&mut S) -> T,
    S: 'static,
{
    fn work(self) -> Result<T, JoinError> {
        let mut state = match take() {
            Some(state) => state,
            None => make(&*self.make)?,
        };
        match unwind::catch(|| (self.closure)(&mut state)) {
            Ok(value) => {
                keep(state);
                Ok(value)
            }
            Err(payload) => {
                // Nobody knows what the panic has left of it.
                unwind::discard(state);
                resume_unwind(payload)
            }
        }
    }
}

/// Makes a state for the worker that the current thread is.
fn make<S>(make: &Make<S>) -> Result<Box<S>, JoinError> {
    let index = worker_index().expect("only workers run the tasks of a pool");
    make(index)
        .map(Box::new)
        .map_err(|cause| JoinError::Rejected(Rejected::Initializer(InitializerError::new(cause))))
}

/// The states that no task has now. A worker is one of one pool, so all are of the
/// same type.
#[derive(Default)]
struct Kept(Vec<Box<dyn Any>>);

impl Drop for Kept {
    fn drop(&mut self) {
        // With the thread, where a panic would abort the process.
        for state in self.0.drain(..) {
            unwind::discard(state);
        }
    }
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

fn take<S: 'static>() -> Option<Box<S>> {
    KEPT.try_with(|kept| kept.borrow_mut().0.pop())
        .ok()
        .flatten()?
        .downcast()
        .ok()
}

fn keep<S: 'static>(state: Box<S>) {
    let mut state: Option<Box<dyn Any>> = Some(state);
    let _ = KEPT.try_with(|kept| kept.borrow_mut().0.extend(state.take()));
    // The thread's own data is being destroyed.
    unwind::discard(state);
}
