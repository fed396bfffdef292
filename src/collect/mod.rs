//! Many tasks at once: their handles in the order in which they finish.
//!
//! [`as_completed`] yields them one by one, [`wait`](mod@wait) returns when
//! enough of them are final. Both accept whatever is [`Awaited`].

mod arrivals;
mod awaited;
mod slots;
mod timed;

mod claimable;

mod as_completed;

#[cfg(feature = "stream")]
mod stream;

mod try_join_all;
mod wait;

pub use self::as_completed::{AsCompleted, as_completed};
pub use self::awaited::Awaited;
#[cfg(feature = "stream")]
pub use self::stream::AsCompletedStream;
pub(crate) use self::timed::NextBefore;
pub use self::timed::Timed;
pub use self::try_join_all::try_join_all;
pub use self::wait::{ReturnWhen, Waited, wait};
