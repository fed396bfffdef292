//! The one border post that panics of foreign code cross.
//!
//! Closures, callbacks, wakers and every `Drop` of a user's value run behind
//! [`catch`] or [`discard`], so that a panic in one of them ends there.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send + 'static>;

/// How often a payload whose `Drop` panics with yet another payload is
/// followed before the last one is leaked: bombs can be built without end.
const PATIENCE: usize = 8;

/// Runs `f` and keeps its panic from going further.
///
/// What `f` has borrowed may be left half-changed by a panic; every caller in
/// this crate gives the closure away or abandons what it touched.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Drops `value`; a panic on the way is reported by the panic hook and ends
/// here, also when the payload of that panic panics in its own `Drop`.
pub(crate) fn discard<T>(value: T) {
    if !std::mem::needs_drop::<T>() {
        return;
    }
    let mut outcome = catch(move || drop(value));
    for _ in 0..PATIENCE {
        match outcome {
            Ok(()) => return,
            Err(payload) => outcome = catch(move || drop(payload)),
        }
    }
    std::mem::forget(outcome);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Panics `.0` times in a row, each payload being the next bomb.
    struct Bomb(usize, Arc<()>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Bomb(self.0 - 1, Arc::clone(&self.1)));
            }
        }
    }

    #[test]
    fn discard_follows_bombs_within_bombs() {
        let alive = Arc::new(());
        discard(Bomb(3, Arc::clone(&alive)));
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn discard_gives_up_on_an_endless_bomb() {
        discard(Bomb(1000, Arc::new(())));
    }
}
