//! [`Awaited`]: what can be waited for.

use crate::task::{AnyCell, ScopedJoinHandle};

/// What can be waited for: a handle, a reference to one, or a pair of a key
/// and one of these.
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
pub trait Awaited: sealed::Sealed {}

mod sealed {
    use crate::task::{AnyCell, ScopedJoinHandle};

    /// The task that is waited for; opaque outside of this crate.
    #[derive(Clone, Copy)]
    #[expect(
        missing_debug_implementations,
        reason = "cannot be named or kept by anybody"
    )]
    pub struct AwaitedTask<'a>(pub(crate) &'a dyn AnyCell);

    pub trait Sealed {
        fn awaited(&self) -> AwaitedTask<'_>;
    }

    impl<T> Sealed for ScopedJoinHandle<'_, T> {
        fn awaited(&self) -> AwaitedTask<'_> {
            AwaitedTask(self.cell())
        }
    }

    impl<H: Sealed> Sealed for &H {
        fn awaited(&self) -> AwaitedTask<'_> {
            (**self).awaited()
        }
    }

    impl<K, H: Sealed> Sealed for (K, H) {
        fn awaited(&self) -> AwaitedTask<'_> {
            self.1.awaited()
        }
    }
}

/// The task behind what is waited for.
pub(crate) fn awaited<H: Awaited>(handle: &H) -> &dyn AnyCell {
    handle.awaited().0
}

impl<T> Awaited for ScopedJoinHandle<'_, T> {}
impl<H: Awaited> Awaited for &H {}
impl<K, H: Awaited> Awaited for (K, H) {}
