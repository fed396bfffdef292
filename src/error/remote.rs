//! Why a call of a named function has no result: its process died, or what
//! crosses between processes could not be encoded or decoded.

use super::Rejected;
use std::fmt;
use thiserror::Error;

/// How a child process ended while it ran a task.
///
/// # Examples
///
/// ```
/// use as_completed::{Died, JoinError};
///
/// fn explain(error: &JoinError) -> Option<i32> {
///     match error {
///         JoinError::Died(died) => died.signal(),
///         _ => None,
///     }
/// }
/// # let _: fn(&Died) -> u32 = Died::pid;
/// # assert_eq!(explain(&JoinError::Cancelled), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Died(Box<Death>);

/// Behind a pointer, so that a task's place for its result stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Death {
    pid: u32,
    signal: Option<i32>,
    exit_code: Option<i32>,
    stderr: Option<String>,
}

impl Died {
    #[cfg(all(feature = "process", unix))]
    pub(crate) fn new(pid: u32, status: std::process::ExitStatus, stderr: Option<String>) -> Self {
        use std::os::unix::process::ExitStatusExt as _;

        Self(Box::new(Death {
            pid,
            signal: status.signal(),
            exit_code: status.code(),
            stderr,
        }))
    }

    /// Returns the id that the process had. Another may have it by now.
    ///
    /// # Examples
    ///
    #[cfg_attr(all(feature = "process", unix), doc = "```")]
    #[cfg_attr(not(all(feature = "process", unix)), doc = "```ignore")]
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::{JoinError, process::ProcessPool};
    ///
    /// const DIE: Function<i32, ()> = Function::new("die", |code| std::process::exit(code));
    ///
    /// let functions = Functions::new().with(DIE);
    /// functions.init();
    /// let pool = ProcessPool::new(1, functions)?;
    /// match pool.call(DIE, 3).join() {
    ///     Err(JoinError::Died(died)) => assert_ne!(died.pid(), std::process::id()),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Returns the signal that ended the process, if one did.
    ///
    /// # Examples
    ///
    #[cfg_attr(all(feature = "process", unix), doc = "```")]
    #[cfg_attr(not(all(feature = "process", unix)), doc = "```ignore")]
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::{JoinError, process::ProcessPool};
    ///
    /// const DIE: Function<i32, ()> = Function::new("die", |_| std::process::abort());
    ///
    /// let functions = Functions::new().with(DIE);
    /// functions.init();
    /// let pool = ProcessPool::new(1, functions)?;
    /// match pool.call(DIE, 3).join() {
    ///     Err(JoinError::Died(died)) => assert_eq!(died.signal(), Some(6)), // SIGABRT
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.0.signal
    }

    /// Returns the code with which the process exited, if it did.
    ///
    /// # Examples
    ///
    #[cfg_attr(all(feature = "process", unix), doc = "```")]
    #[cfg_attr(not(all(feature = "process", unix)), doc = "```ignore")]
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::{JoinError, process::ProcessPool};
    ///
    /// const DIE: Function<i32, ()> = Function::new("die", |code| std::process::exit(code));
    ///
    /// let functions = Functions::new().with(DIE);
    /// functions.init();
    /// let pool = ProcessPool::new(1, functions)?;
    /// match pool.call(DIE, 3).join() {
    ///     Err(JoinError::Died(died)) => assert_eq!(died.exit_code(), Some(3)),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.0.exit_code
    }

    /// Returns what the process last wrote to its standard error, up to 4 KiB,
    /// if the pool captured it. `Display` shows the last lines, without those of a
    /// backtrace.
    ///
    /// # Examples
    ///
    #[cfg_attr(all(feature = "process", unix), doc = "```")]
    #[cfg_attr(not(all(feature = "process", unix)), doc = "```ignore")]
    /// use as_completed::function::{Function, Functions};
    /// use as_completed::{JoinError, process::ProcessPool};
    ///
    /// const DIE: Function<i32, ()> = Function::new("die", |code| {
    ///     eprintln!("out of cheese");
    ///     std::process::exit(code)
    /// });
    ///
    /// let functions = Functions::new().with(DIE);
    /// functions.init();
    /// let pool = ProcessPool::builder(functions).capture_stderr(true).build()?;
    /// match pool.call(DIE, 3).join() {
    ///     Err(JoinError::Died(died)) => assert_eq!(died.stderr(), Some("out of cheese\n")),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), as_completed::process::ProcessBuildError>(())
    /// ```
    #[must_use]
    pub fn stderr(&self) -> Option<&str> {
        self.0.stderr.as_deref()
    }
}

impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ", self.pid())?;
        match (self.signal(), self.exit_code()) {
            (Some(signal), _) => write!(f, "was killed by signal {}", named(signal))?,
            (None, Some(code)) => write!(f, "exited with code {code}")?,
            (None, None) => f.write_str("ended")?,
        }
        f.write_str(" while it ran the task")?;
        match self.stderr().map(last_lines).unwrap_or_default() {
            lines if lines.is_empty() => Ok(()),
            lines => write!(f, "; its standard error ends with: {}", lines.join("\n")),
        }
    }
}

/// How many lines of a standard error are in a message.
const LINES: usize = 5;

/// The last lines that say something. A backtrace, which would take the place of the
/// panic before it, is left out.
fn last_lines(text: &str) -> Vec<&str> {
    let mut is_backtrace = false;
    let mut lines: Vec<_> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| {
            // Its lines are indented.
            is_backtrace = *line == "stack backtrace:" || is_backtrace && line.starts_with(' ');
            let is_note = line.starts_with("note: ") && line.contains("backtrace");
            !is_backtrace && !is_note && !line.is_empty()
        })
        .collect();
    lines.split_off(lines.len().saturating_sub(LINES))
}

impl std::error::Error for Died {}

/// The number and the name of a signal, as std writes them: `9 (SIGKILL)`.
#[cfg(all(feature = "process", unix))]
fn named(signal: i32) -> String {
    use std::os::unix::process::ExitStatusExt as _;

    let status = std::process::ExitStatus::from_raw(signal).to_string();
    match status.strip_prefix("signal: ") {
        Some(named) => named.to_owned(),
        None => signal.to_string(),
    }
}

/// No process is started here that a signal could kill.
#[cfg(not(all(feature = "process", unix)))]
fn named(signal: i32) -> i32 {
    signal
}

/// Why a call of a named function failed on the way to its process or back.
///
/// It fails one call; the process goes on with the next.
///
/// # Examples
///
/// ```
/// use as_completed::CallError;
///
/// let error = CallError::Decode {
///     function: "area".to_owned(),
///     part: "argument",
///     cause: "invalid type: string \"6\", expected u32".to_owned(),
/// };
/// assert_eq!(
///     error.to_string(),
///     "cannot decode the argument of function \"area\": \
///      invalid type: string \"6\", expected u32"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The argument or the result could not be turned into bytes.
    #[error("cannot encode the {part} of function {function:?}: {cause}")]
    Encode {
        /// The name of the function.
        function: String,
        /// `"argument"` or `"result"`.
        part: &'static str,
        /// What the codec said.
        cause: String,
    },
    /// The argument or the result could not be read back from bytes.
    #[error("cannot decode the {part} of function {function:?}: {cause}")]
    Decode {
        /// The name of the function.
        function: String,
        /// `"argument"` or `"result"`.
        part: &'static str,
        /// What the codec said.
        cause: String,
    },
    /// The process does not know the function: it is not in the registry, or
    /// the process runs another program.
    #[error("function {function:?} is not registered in {program}, which has {known:?}")]
    Unknown {
        /// The name that was called.
        function: String,
        /// The program without it: this one, or that of a child process.
        program: String,
        /// The names that the program knows.
        known: Vec<String>,
    },
    /// No worker of the cluster has the function, or has it in this version.
    #[error("no worker serves function {function:?}{}; the workers are {workers:?}", in_version(*version))]
    Unserved {
        /// The name that was called.
        function: String,
        /// The version that was called, 0 if the function has none.
        version: u32,
        /// The workers that were seen, and what they serve.
        workers: Vec<String>,
    },
    /// The argument or the result is longer than a cluster can carry.
    #[error("the {part} of function {function:?} takes {bytes} bytes, and {limit} is the most")]
    TooLarge {
        /// The name of the function.
        function: String,
        /// `"argument"` or `"result"`.
        part: &'static str,
        /// Its length.
        bytes: usize,
        /// The most that can be carried.
        limit: usize,
    },
    /// The process could not be started.
    #[error("cannot start a child process: {0}")]
    Start(String),
}

fn in_version(version: u32) -> String {
    match version {
        0 => String::new(),
        version => format!(" in version {version}"),
    }
}

#[cfg(feature = "process")]
impl super::JoinError {
    // No `From`: beside the one of std it would leave many a `?` ambiguous.
    pub(crate) fn call(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

/// The error of `try_call`: the argument, and why the call was not accepted.
///
/// Dropping it drops the argument.
///
/// # Examples
///
#[cfg_attr(all(feature = "process", unix), doc = "```")]
#[cfg_attr(not(all(feature = "process", unix)), doc = "```ignore")]
/// use as_completed::ThreadPool;
/// use as_completed::function::{Function, FunctionExecutorExt};
///
/// const LENGTH: Function<String, usize> = Function::new("length", |text| text.len());
///
/// let pool = ThreadPool::new(1);
/// pool.shutdown();
/// let error = pool.try_call(LENGTH, "four".to_owned()).unwrap_err();
/// assert_eq!(error.to_string(), "cannot schedule new tasks after shutdown");
/// ```
pub struct TryCallError<A> {
    argument: A,
    reason: Rejected,
}

impl<A> TryCallError<A> {
    #[cfg(feature = "process")]
    pub(crate) fn new(argument: A, reason: Rejected) -> Self {
        Self { argument, reason }
    }

    /// Returns why the call was not accepted.
    ///
    /// # Examples
    ///
    #[cfg_attr(all(feature = "process", unix), doc = "```")]
    #[cfg_attr(not(all(feature = "process", unix)), doc = "```ignore")]
    /// use as_completed::function::{Function, FunctionExecutorExt};
    /// use as_completed::{Rejected, ThreadPool};
    ///
    /// const LENGTH: Function<String, usize> = Function::new("length", |text| text.len());
    ///
    /// let pool = ThreadPool::new(1);
    /// pool.shutdown();
    /// let error = pool.try_call(LENGTH, "four".to_owned()).unwrap_err();
    /// assert!(matches!(error.reason(), Rejected::ShutDown));
    /// ```
    #[must_use]
    pub fn reason(&self) -> &Rejected {
        &self.reason
    }

    /// Gives the argument back.
    ///
    /// # Examples
    ///
    #[cfg_attr(all(feature = "process", unix), doc = "```")]
    #[cfg_attr(not(all(feature = "process", unix)), doc = "```ignore")]
    /// use as_completed::function::{Function, FunctionExecutorExt};
    /// use as_completed::ThreadPool;
    ///
    /// const LENGTH: Function<String, usize> = Function::new("length", |text| text.len());
    ///
    /// let pool = ThreadPool::new(1);
    /// pool.shutdown();
    /// let error = pool.try_call(LENGTH, "four".to_owned()).unwrap_err();
    /// assert_eq!(error.into_argument(), "four");
    /// ```
    #[must_use]
    pub fn into_argument(self) -> A {
        self.argument
    }
}

impl<A> fmt::Display for TryCallError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

/// Its message and source are those of the reason.
impl<A> std::error::Error for TryCallError<A> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}

impl<A> fmt::Debug for TryCallError<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryCallError")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died(stderr: &str) -> String {
        let death = Death {
            pid: 7,
            signal: None,
            exit_code: Some(3),
            stderr: Some(stderr.to_owned()),
        };
        Died(Box::new(death)).to_string()
    }

    #[test]
    fn the_last_lines_of_the_standard_error_are_in_the_message() {
        let prefix = "process 7 exited with code 3 while it ran the task";
        assert_eq!(died(" \n\n"), prefix);
        let message = format!("{prefix}; its standard error ends with: ");
        assert_eq!(
            died("\nout of cheese\n\n"),
            format!("{message}out of cheese")
        );
        let many: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(
            died(&many.join("\n")),
            format!("{message}95\n96\n97\n98\n99")
        );
    }

    #[test]
    fn a_backtrace_is_not_in_the_message_and_what_is_before_and_behind_it_is() {
        let stderr = "\
thread 'main' panicked at src/main.rs:3:5:
out of cheese
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:689:5
   1: main
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
thread caused non-unwinding panic. aborting.
";
        let last = "thread 'main' panicked at src/main.rs:3:5:\nout of cheese\n\
                    thread caused non-unwinding panic. aborting.";
        assert!(
            died(stderr).ends_with(&format!("ends with: {last}")),
            "{}",
            died(stderr)
        );
    }
}
