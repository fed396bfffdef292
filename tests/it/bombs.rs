//! Values that count their drops, and may panic in them; the panics that tests
//! mean to happen, kept off the screen; an end for tests that hang.

use crate::support::{PATIENCE, Patience, expect_panics};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// What tests panic with when they mean it.
pub(crate) struct Meant;

/// Panics, as a test means to, without a report.
pub(crate) fn panic_as_meant() -> ! {
    keep_quiet();
    panic_any(Meant)
}

/// Silences the reports of panics that are meant.
///
/// There is one hook for all tests, and it is set once: while another took its place,
/// the reports of other tests' panics would go uncounted.
pub(crate) fn keep_quiet() {
    expect_panics();
}

/// Drops `value`; says whether that panicked.
pub(crate) fn panics_in_drop<T>(value: T) -> bool {
    catch_unwind(AssertUnwindSafe(|| drop(value))).is_err()
}

/// How many there are of something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn so_far(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A value that counts its drop.
    pub(crate) fn on_drop(&self) -> Counted {
        Counted {
            drops: self.clone(),
            is_bomb: false,
        }
    }

    /// A value that counts its drop, and panics in it.
    pub(crate) fn bomb(&self) -> Counted {
        keep_quiet();
        Counted {
            drops: self.clone(),
            is_bomb: true,
        }
    }
}

/// Counts its drop, which panics if it is a bomb and nobody panics already.
#[derive(Debug)]
pub(crate) struct Counted {
    drops: Count,
    is_bomb: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.add();
        if self.is_bomb && !thread::panicking() {
            panic_any(Meant);
        }
    }
}

/// Runs `test`, and fails if it takes longer than any that ends would.
pub(crate) fn must_end<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let runner = thread::spawn(move || done.send(test()));
    let start = Patience::new();
    loop {
        match result.recv_timeout(Duration::from_secs(5)) {
            Ok(value) => return value,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                assert!(!start.is_over(PATIENCE), "the test hangs");
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => match runner.join() {
                Err(payload) => std::panic::resume_unwind(payload),
                Ok(_) => unreachable!("the channel is closed only by a panic"),
            },
        }
    }
}
