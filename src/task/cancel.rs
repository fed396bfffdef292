//! [`CancelToken`]: asks a running task to stop.

use super::callback::call;
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};
use crate::unwind;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A flag that asks running work to stop, shared by all its clones.
///
/// A task submitted by `submit_cancellable` receives one, and
/// `JoinHandle::cancel` cancels it while the task runs. The task checks it where
/// it can stop, or leaves a callback by [`on_cancel`](Self::on_cancel). A cancelled
/// token stays cancelled. Cloning is cheap, and dropping a token does nothing.
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

/// What is to be run when the token is cancelled, in the order in which it came.
#[derive(Default)]
struct Callbacks {
    next_name: u64,
    all: Vec<(u64, Box<dyn FnOnce() + Send>)>,
}

/// A callback of [`CancelToken::on_cancel`], which takes it back when dropped.
///
/// # Examples
///
/// ```
/// use as_completed::CancelToken;
/// use std::sync::Arc;
///
/// let (token, captured) = (CancelToken::new(), Arc::new(()));
/// let held = Arc::clone(&captured);
/// let registered = token.on_cancel(move || drop(held));
/// drop(registered);
/// assert_eq!(Arc::strong_count(&captured), 1);
/// ```
#[must_use = "dropping it takes the callback back; call `detach` to leave it"]
pub struct OnCancel {
    /// `None` once it is detached.
    token: Option<CancelToken>,
    name: u64,
}

impl OnCancel {
    /// Leaves the callback to the token, for as long as that exists.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::CancelToken;
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let token = CancelToken::new();
    /// token.on_cancel(move || sender.send("stop").unwrap()).detach();
    /// token.cancel();
    /// assert_eq!(receiver.recv(), Ok("stop"));
    /// ```
    pub fn detach(mut self) {
        self.token = None;
    }
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        let Some(token) = &self.token else {
            return;
        };
        let mut callbacks = token.0.callbacks.lock();
        let place = callbacks
            .all
            .binary_search_by_key(&self.name, |(name, _)| *name);
        let callback = place.ok().map(|place| callbacks.all.remove(place));
        drop(callbacks);
        unwind::discard(callback);
    }
}

impl fmt::Debug for OnCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnCancel")
            .field("token", &self.token)
            .finish_non_exhaustive()
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
            call(callback);
        }
    }

    /// Runs `callback` once when the token is cancelled: on the thread that
    /// cancels it, or at once on this one if it is cancelled already.
    ///
    /// For work that cannot look at the token, such as a child process to kill
    /// or a socket to close. The callback runs outside of all locks and should be
    /// short, for it holds up the thread that cancels. Its panic is reported by
    /// the panic hook and goes no further. Callbacks run in the order in which
    /// they were added; where 32 run inside each other, because callbacks cancel other
    /// tokens or tasks, further ones wait, and run before the outermost returns. Dropping
    /// what this returns takes the callback back; if it runs at that moment, the drop does
    /// not wait for its end.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::ThreadPool;
    /// use std::sync::mpsc;
    ///
    /// let pool = ThreadPool::new(1);
    /// let (sender, receiver) = mpsc::channel();
    /// let (started, start) = mpsc::channel();
    /// let waiting = pool.submit_cancellable(move |token| {
    ///     let (stop, messages) = (sender.clone(), receiver);
    ///     let _on_cancel = token.on_cancel(move || stop.send("cancelled").unwrap());
    ///     started.send(sender).unwrap();
    ///     messages.recv() // knows nothing of the token
    /// });
    /// let _sender = start.recv().unwrap();
    /// waiting.cancel();
    /// assert_eq!(waiting.join()?, Ok("cancelled"));
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> OnCancel {
        let mut guard = self.0.callbacks.lock();
        let name = guard.next_name;
        guard.next_name += 1;
        if self.is_cancelled() {
            drop(guard);
            call(callback);
        } else {
            guard.all.push((name, Box::new(callback)));
        }
        OnCancel {
            token: Some(self.clone()),
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
