//! [`CancelToken`]: asks a running task to stop.

use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A flag that asks running work to stop, shared by all its clones.
///
/// A task submitted by `submit_cancellable` receives one, and
/// `JoinHandle::cancel` cancels it while the task runs. The task checks it where
/// it can stop. A cancelled token stays cancelled. Cloning is cheap, and dropping
/// a token does nothing.
///
/// # Examples
///
/// ```
/// use as_completed::CancelToken;
/// use std::time::Duration;
///
/// let token = CancelToken::new();
/// let same = token.clone();
/// assert!(token.sleep(Duration::from_millis(1)));
/// same.cancel();
/// assert!(token.is_cancelled());
/// assert!(!token.sleep(Duration::MAX)); // returns at once
/// ```
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Set under the lock of `callbacks`, so that nobody falls asleep, or adds
    /// a callback, between the look at it and the notification; read without.
    cancelled: AtomicBool,
    callbacks: Mutex<Callbacks>,
    wake: Condvar,
}

/// What is to be run when the token is cancelled.
#[derive(Default)]
struct Callbacks {
    #[cfg_attr(
        not(any(feature = "download", feature = "process")),
        expect(dead_code, reason = "only downloads and processes add any")
    )]
    next_name: u64,
    all: Vec<(u64, Box<dyn FnOnce() + Send>)>,
}

/// A callback that waits for a token to be cancelled. Drop takes it back.
#[cfg(any(feature = "download", feature = "process"))]
pub(crate) struct OnCancel {
    token: CancelToken,
    name: u64,
}

#[cfg(any(feature = "download", feature = "process"))]
impl Drop for OnCancel {
    fn drop(&mut self) {
        let mut callbacks = self.token.0.callbacks.lock();
        let place = callbacks
            .all
            .iter()
            .position(|(name, _)| *name == self.name);
        let callback = place.map(|place| callbacks.all.swap_remove(place));
        drop(callbacks);
        drop(callback);
    }
}

impl CancelToken {
    /// Creates a token that is not cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::CancelToken;
    ///
    /// assert!(!CancelToken::new().is_cancelled());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether [`cancel`](Self::cancel) has been called. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let handle = pool.submit_cancellable(|token| {
    ///     (0..1000).take_while(|_| !token.is_cancelled()).count()
    /// });
    /// assert_eq!(handle.join()?, 1000); // nobody cancelled it
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Asks every holder of the token to stop, and wakes those that sleep on it.
    ///
    /// Does not wait for them to stop. Further calls do nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::{CancelToken, ThreadPool};
    /// use std::time::Duration;
    ///
    /// // One token for several tasks.
    /// let (pool, token) = (ThreadPool::new(2), CancelToken::new());
    /// let sleepers = [token.clone(), token.clone()]
    ///     .map(|token| pool.submit(move || token.sleep(Duration::MAX)));
    /// token.cancel();
    /// for sleeper in sleepers {
    ///     assert!(!sleeper.join()?);
    /// }
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn cancel(&self) {
        let mut guard = self.0.callbacks.lock();
        self.0.cancelled.store(true, Ordering::Release);
        let callbacks = std::mem::take(&mut guard.all);
        drop(guard);
        self.0.wake.notify_all();
        for (_, callback) in callbacks {
            callback();
        }
    }

    /// Runs `callback`, which must not panic, when the token is cancelled: on
    /// the thread that cancels it, or here if it is cancelled already.
    #[cfg(any(feature = "download", feature = "process"))]
    pub(crate) fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> OnCancel {
        let mut guard = self.0.callbacks.lock();
        let name = guard.next_name;
        guard.next_name += 1;
        if self.is_cancelled() {
            drop(guard);
            callback();
        } else {
            guard.all.push((name, Box::new(callback)));
        }
        OnCancel {
            token: self.clone(),
            name,
        }
    }

    /// Blocks for `duration`, or until the token is cancelled if that is
    /// sooner; returns whether it slept in full.
    ///
    /// `Duration::MAX` sleeps until cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::CancelToken;
    /// use std::time::Duration;
    ///
    /// let token = CancelToken::new();
    /// assert!(token.sleep(Duration::from_millis(1)));
    /// token.cancel();
    /// assert!(!token.sleep(Duration::MAX));
    /// ```
    #[must_use = "a sleep that was cut short returns false"]
    pub fn sleep(&self, duration: Duration) -> bool {
        let deadline = Instant::now().checked_add(duration);
        let mut guard = self.0.callbacks.lock();
        while !self.is_cancelled() {
            match deadline {
                None => self.0.wake.wait(&mut guard),
                Some(deadline) => {
                    if Instant::now() >= deadline {
                        return true;
                    }
                    self.0.wake.wait_until(&mut guard, deadline);
                }
            }
        }
        false
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
