//! A stop for the requests of one thread, beside the token of the downloader.

use crate::sync::thread_local;
use crate::task::CancelToken;
use std::cell::RefCell;

thread_local! {
    static STOP: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
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
