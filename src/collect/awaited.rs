//! [`Awaited`]: what can be waited for.

use self::sealed::{AwaitedTask, Seal};
use crate::task::{AnyCell, ScopedJoinHandle};
use std::sync::Arc;

/// What can be waited for: a handle, a reference or an `Arc` to one, or a pair of a
/// key and one of these.
///
/// Only this crate implements it. Use it as a bound in your own functions that
/// take handles.
///
/// # Examples
///
/// ```
/// use as_completed::{as_completed, Awaited, Inline};
///
/// fn first<H: Awaited>(handles: Vec<H>) -> Option<H> {
///     as_completed(handles).next()
/// }
///
/// let (key, handle) = first(vec![("four", Inline.submit(|| 4))]).unwrap();
/// assert_eq!((key, handle.join()?), ("four", 4));
/// # Ok::<(), as_completed::JoinError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be waited for",
    label = "expected a `JoinHandle`, a `&JoinHandle` or a `(key, handle)` pair"
)]
pub trait Awaited {
    /// The task that is waited for. Only this crate can name the argument, so
    /// nobody else can call or implement this.
    #[doc(hidden)]
    fn awaited(&self, seal: sealed::Seal) -> sealed::AwaitedTask<'_>;
}

mod sealed {
    use crate::task::AnyCell;

    #[derive(Debug, Clone, Copy)]
    pub struct Seal;

    #[expect(
        missing_debug_implementations,
        reason = "cannot be named or kept by anybody"
    )]
    pub struct AwaitedTask<'a>(pub(crate) &'a dyn AnyCell);
}

/// The task behind what is waited for.
pub(crate) fn awaited<H: Awaited>(handle: &H) -> &dyn AnyCell {
    handle.awaited(Seal).0
}

impl<T> Awaited for ScopedJoinHandle<'_, T> {
    fn awaited(&self, _: Seal) -> AwaitedTask<'_> {
        AwaitedTask(self.cell())
    }
}

impl<H: Awaited> Awaited for &H {
    fn awaited(&self, seal: Seal) -> AwaitedTask<'_> {
        (**self).awaited(seal)
    }
}

impl<H: Awaited> Awaited for Arc<H> {
    fn awaited(&self, seal: Seal) -> AwaitedTask<'_> {
        (**self).awaited(seal)
    }
}

impl<K, H: Awaited> Awaited for (K, H) {
    fn awaited(&self, seal: Seal) -> AwaitedTask<'_> {
        self.1.awaited(seal)
    }
}
