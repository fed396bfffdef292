//! What ends the waits of one thread for a server, beside the token of the downloader
//! and the timeouts of the agent.

use crate::sync::thread_local;
use crate::task::CancelToken;
use std::cell::{Cell, RefCell};
use std::time::Instant;

thread_local! {
    static STOP: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
    static PATIENT_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Ends the waits of this thread for a server when `stop` is cancelled, for as
/// long as the thread lives.
pub(crate) fn set(stop: CancelToken) {
    STOP.with(|current| *current.borrow_mut() = Some(stop));
}

/// Calls `f`, and ends the waits of this thread for a server meanwhile when `stop`
/// is cancelled.
pub(crate) fn during<T>(stop: &CancelToken, f: impl FnOnce() -> T) -> T {
    /// Puts back what was there, also after a panic.
    struct Before(Option<CancelToken>);

    impl Drop for Before {
        fn drop(&mut self) {
            STOP.with(|current| *current.borrow_mut() = self.0.take());
        }
    }

    let before = STOP.with(|current| current.borrow_mut().replace(stop.clone()));
    let _before = Before(before);
    f()
}

/// Whether the requests of this thread are to end.
pub(crate) fn is_stopped() -> bool {
    STOP.with(|stop| {
        stop.borrow()
            .as_ref()
            .is_some_and(CancelToken::is_cancelled)
    })
}

/// Calls `f`, which reads, and ends the waits of this thread meanwhile with
/// [`Fault::TooSlow`](super::transport::Fault::TooSlow) at that time.
pub(crate) fn no_later_than<T>(until: Option<Instant>, f: impl FnOnce() -> T) -> T {
    /// Ends it also after a panic.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            PATIENT_UNTIL.set(None);
        }
    }

    PATIENT_UNTIL.set(until);
    let _end = End;
    f()
}

/// When this thread is to wait no more, because too little has come.
pub(crate) fn patient_until() -> Option<Instant> {
    PATIENT_UNTIL.get()
}
