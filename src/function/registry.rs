//! [`Function`], and the registry of [`Functions`] that a child process knows.

use super::caller::{Caller, in_span};
use super::codec::{decode, encode_onto};
use super::values::take_value;
use crate::unwind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A plain `fn` of one argument, and the name by which another process finds
/// it.
///
/// Several arguments are a tuple. The argument and the result cross between
/// processes by serde: the argument is `Serialize` where the function is called and
/// `DeserializeOwned` where it runs, and the result the other way round. It is `Copy`,
/// and most often a `const`.
///
/// # Examples
///
/// ```
/// use as_completed::function::{Function, FunctionExecutorExt};
/// use as_completed::Inline;
///
/// const AREA: Function<(u32, u32), u32> = Function::new("area", |(width, height)| width * height);
///
/// assert_eq!(AREA.name(), "area");
/// assert_eq!(Inline.call(AREA, (6, 7)).join()?, 42);
/// # Ok::<(), as_completed::JoinError>(())
/// ```
pub struct Function<A, R> {
    name: &'static str,
    version: u32,
    pub(super) run: fn(A) -> R,
}

impl<A, R> Function<A, R> {
    /// Names a function: a plain `fn`, or a closure that captures nothing.
    ///
    /// The name is what a child process or a worker of a cluster looks up. So it is
    /// unique in the program's registry, and the same in all programs that call the
    /// function or run it.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, FunctionExecutorExt};
    /// use as_completed::Inline;
    ///
    /// fn power((base, exponent): (u64, u32)) -> Option<u64> {
    ///     base.checked_pow(exponent)
    /// }
    ///
    /// const POWER: Function<(u64, u32), Option<u64>> = Function::new("power", power);
    ///
    /// assert_eq!(Inline.call(POWER, (2, 10)).join()?, Some(1024));
    /// # Ok::<(), as_completed::JoinError>(())
    /// ```
    #[must_use]
    pub const fn new(name: &'static str, run: fn(A) -> R) -> Self {
        Self {
            name,
            version: 0,
            run,
        }
    }

    /// Sets the version of the function; 0 by default.
    ///
    /// Change it when old and new programs must not call each other, such as when
    /// the argument gets another meaning: a worker of a cluster runs the calls of
    /// its own version only. Executors of this machine do not look at it.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::Function;
    ///
    /// const AREA: Function<(u32, u32), u32> =
    ///     Function::new("area", |(width, height)| width * height).version(2);
    /// # assert_eq!(AREA.name(), "area");
    /// ```
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Returns the name.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::Function;
    ///
    /// const LENGTH: Function<String, usize> = Function::new("length", |text| text.len());
    ///
    /// assert_eq!(LENGTH.name(), "length");
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

// Derived ones would ask the same of the argument and the result.
impl<A, R> Clone for Function<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Function<A, R> {}

impl<A, R> fmt::Debug for Function<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}

/// Why a function that was found could not be run on bytes.
pub(crate) enum Failure {
    /// The argument could not be decoded.
    Argument(String),
    /// The result could not be encoded.
    Result(String),
}

/// Takes what came of many calls, one after the other.
pub(crate) trait Outcomes {
    /// Where the next result is written, behind what is there.
    fn buffer(&mut self) -> &mut Vec<u8>;

    /// Takes what came of the call whose result has been written, which may be the last;
    /// says whether to go on.
    fn add(&mut self, outcome: Result<(), Failure>, is_last: bool) -> bool;
}

/// The calls of one message that have not been run.
pub(crate) struct Calls<'a> {
    pub(crate) name: &'a str,
    pub(crate) caller: Option<&'a Caller>,
    /// In a row.
    pub(crate) arguments: &'a [u8],
}

/// A function that takes and returns bytes.
pub(crate) trait OnBytes: Send + Sync {
    /// Decodes the argument, and writes the result behind what is there.
    fn run(&self, argument: &[u8], result: &mut Vec<u8>) -> Result<(), Failure>;

    /// Runs the function with each argument.
    ///
    /// An argument is taken off before the function runs. So after a panic, which goes
    /// through this, the rest can be run by another call.
    fn run_each(&self, calls: &mut Calls<'_>, outcomes: &mut dyn Outcomes);

    /// Decodes the argument, which starts there in the buffer, and writes the result
    /// in the place of all that is in it.
    fn run_in_place(&self, start: usize, value: &mut Vec<u8>) -> Result<(), Failure>;
}

/// Runs a plain function.
struct Plain<A, R>(fn(A) -> R);

impl<A: DeserializeOwned, R: Serialize> OnBytes for Plain<A, R> {
    fn run(&self, argument: &[u8], result: &mut Vec<u8>) -> Result<(), Failure> {
        let argument = decode(argument).map_err(Failure::Argument)?;
        write(self.0(argument), result)
    }

    fn run_each(&self, calls: &mut Calls<'_>, outcomes: &mut dyn Outcomes) {
        while let Some(argument) = take_value(&mut calls.arguments) {
            let run = || self.run(argument, outcomes.buffer());
            let outcome = in_span(calls.name, calls.caller, None, run);
            if !outcomes.add(outcome, calls.arguments.is_empty()) {
                break;
            }
        }
    }

    fn run_in_place(&self, start: usize, value: &mut Vec<u8>) -> Result<(), Failure> {
        let argument = decode(&value[start..]).map_err(Failure::Argument)?;
        value.clear();
        write(self.0(argument), value)
    }
}

/// Writes a result behind what is there.
fn write<R: Serialize>(result: R, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    // Caught, for a panic would drop the result: if that panics too, the process aborts.
    let written = unwind::catch(|| encode_onto(&result, bytes));
    // What the caller gets has been written: it need not fail with this copy.
    unwind::discard(result);
    match written {
        Ok(written) => written.map_err(Failure::Result),
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// The registry of a program's functions: what can be called by name, and run in its
/// child processes or on its workers.
///
/// Nothing is registered behind the scenes, before `main`: a program adds its functions
/// here, calls [`init`](Self::init) first thing in `main`, and gives the registry to its
/// pool, cluster or worker.
///
/// # Examples
///
/// ```
/// use as_completed::function::{Function, Functions};
///
/// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
///
/// let functions = Functions::new().with(DOUBLE);
/// assert_eq!(functions.names().collect::<Vec<_>>(), ["double"]);
/// ```
#[derive(Clone, Default)]
pub struct Functions {
    by_name: BTreeMap<&'static str, Registered>,
}

#[derive(Clone)]
struct Registered {
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "for others only"))]
    version: u32,
    on_bytes: Arc<dyn OnBytes>,
}

impl Functions {
    /// Creates an empty registry.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::Functions;
    ///
    /// assert_eq!(Functions::new().names().count(), 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function.
    ///
    /// # Panics
    ///
    /// If another function has the same name, which the message tells.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    /// const HALVE: Function<u32, f64> = Function::new("halve", |n| f64::from(n) / 2.0);
    ///
    /// let functions = Functions::new().with(DOUBLE).with(HALVE);
    /// assert_eq!(functions.names().count(), 2);
    /// ```
    ///
    /// Two functions of one name are a mistake of the program:
    ///
    /// ```should_panic
    /// use as_completed::function::{Function, Functions};
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    /// const TWICE: Function<u32, u32> = Function::new("double", |n| n + n);
    ///
    /// let functions = Functions::new().with(DOUBLE).with(TWICE); // panics
    /// ```
    #[must_use]
    pub fn with<A, R>(mut self, function: Function<A, R>) -> Self
    where
        A: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        let registered = Registered {
            version: function.version,
            on_bytes: Arc::new(Plain(function.run)),
        };
        let before = self.by_name.insert(function.name, registered);
        assert!(
            before.is_none(),
            "two functions have the name {:?}",
            function.name
        );
        self
    }

    /// Returns the names of all functions, sorted.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::function::{Function, Functions};
    ///
    /// const DOUBLE: Function<u32, u32> = Function::new("double", |n| 2 * n);
    /// const AREA: Function<(u32, u32), u32> = Function::new("area", |(w, h)| w * h);
    ///
    /// let functions = Functions::new().with(DOUBLE).with(AREA);
    /// assert_eq!(functions.names().collect::<Vec<_>>(), ["area", "double"]);
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// Returns the function of that name, with the name as this program has it.
    pub(crate) fn find(&self, name: &str) -> Option<(&'static str, &dyn OnBytes)> {
        let (name, registered) = self.by_name.get_key_value(name)?;
        Some((*name, &*registered.on_bytes))
    }

    /// Returns the names and versions of all functions.
    #[cfg(feature = "cluster")]
    pub(crate) fn versions(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let all = self.by_name.iter();
        all.map(|(name, registered)| (*name, registered.version))
    }

    /// Returns the name as this program has it, and the version.
    #[cfg(feature = "cluster")]
    pub(crate) fn version_of(&self, name: &str) -> Option<(&'static str, u32)> {
        let (name, registered) = self.by_name.get_key_value(name)?;
        Some((*name, registered.version))
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Functions")
            .field(&self.by_name.keys())
            .finish()
    }
}
