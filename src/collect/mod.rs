//! Many tasks at once: their handles in the order in which they finish.
//!
//! [`as_completed`] yields them one by one, [`wait`](mod@wait) returns when
//! enough of them are final. Both accept whatever is [`Awaited`].

mod awaited;
mod slots;
mod timed;

mod as_completed;
mod wait;

pub use self::as_completed::{AsCompleted, as_completed};
pub use self::awaited::Awaited;
pub(crate) use self::timed::NextBefore;
pub use self::timed::Timed;
pub use self::wait::{ReturnWhen, Waited, wait};
