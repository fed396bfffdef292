//! Functions with a name, which can be called where closures cannot go: in
//! another process, or on another machine.
//!
//! [`Function`] pairs a plain `fn` with its name, [`Functions`] is the registry
//! that finds it again on the other side, and [`FunctionExecutor`] is whatever
//! calls functions: every [`Executor`](crate::Executor),
//! [`ProcessPool`](crate::process::ProcessPool) and
//! [`Cluster`](crate::cluster::Cluster). Arguments and results cross as
//! [MessagePack](https://msgpack.org) with named fields, by
//! [serde](https://serde.rs), whose traits stand in the bounds here: a field that the
//! other program does not know is ignored, and one that it misses takes its
//! `#[serde(default)]`. An executor that runs functions in this process hands the values
//! over as they are.
//!
//! ```
//! use as_completed::function::{Function, FunctionExecutor, FunctionExecutorExt};
//! use as_completed::{Inline, ThreadPool, as_completed};
//!
//! const SQUARE: Function<u64, u64> = Function::new("square", square);
//!
//! fn square(n: u64) -> u64 {
//!     n * n
//! }
//!
//! fn sum_of_squares(executor: &dyn FunctionExecutor) -> u64 {
//!     let squares = (1..=3).map(|n| executor.call(SQUARE, n));
//!     as_completed(squares).map(|square| square.join().unwrap()).sum()
//! }
//!
//! assert_eq!(sum_of_squares(&Inline), 14);
//! assert_eq!(sum_of_squares(&ThreadPool::new(2)), 14);
//! ```

mod caller;
mod codec;
mod values;

mod registry;

mod marshal;
mod route;

mod elsewhere;
#[cfg(feature = "cluster")]
mod remote;

mod executor;

mod methods;

pub(crate) use self::caller::{Caller, current_caller, in_span};
#[cfg(feature = "cluster")]
pub(crate) use self::codec::encode_onto;
pub(crate) use self::codec::{decode, encode};
pub use self::executor::{FunctionExecutor, FunctionExecutorExt};
pub(crate) use self::executor::{Place, Places, place_behind_pointers};
pub(crate) use self::methods::call_without_import;
pub(crate) use self::registry::{Calls, Failure, Outcomes};
pub use self::registry::{Function, Functions};
#[cfg(feature = "cluster")]
pub(crate) use self::remote::{Remote, Settle, handle};
pub(crate) use self::route::{OnAnswer, Receive, Route};
pub(crate) use self::values::{Values, begin_value, end_value, take_value};
