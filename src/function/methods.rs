//! The methods of [`FunctionExecutorExt`](super::FunctionExecutorExt) without an import,
//! for `dyn FunctionExecutor` and for executors of this crate.

use super::executor::FunctionExecutor;
use std::fmt;

/// Gives a type the methods of [`FunctionExecutorExt`] without an import.
///
/// Given are the fence of the examples, and their first lines, which make of the
/// function `LENGTH` what calls it: `executor`.
macro_rules! call_without_import {
    ($fence:expr, $first:expr) => {
        /// Calls a function and returns the handle of the call; see
        /// [`FunctionExecutorExt::call`](crate::function::FunctionExecutorExt::call).
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
let length = executor.call(LENGTH, \"four\".to_owned());
assert_eq!(length.join()?, 4);
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn call<A, R>(
            &self,
            function: crate::function::Function<A, R>,
            argument: A,
        ) -> crate::JoinHandle<R>
        where
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::call(self, function, argument)
        }

        /// Calls a function, or gives its argument back; see
        /// [`FunctionExecutorExt::try_call`](crate::function::FunctionExecutorExt::try_call).
        ///
        /// # Errors
        ///
        /// [`TryCallError`](crate::TryCallError) with the argument if the call
        /// is not taken: shut down, or the queue is full.
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
match executor.try_call(LENGTH, \"four\".to_owned()) {
    Ok(length) => assert_eq!(length.join()?, 4),
    Err(refused) => assert_eq!(refused.into_argument(), \"four\"), // try again later
}
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn try_call<A, R>(
            &self,
            function: crate::function::Function<A, R>,
            argument: A,
        ) -> Result<crate::JoinHandle<R>, crate::TryCallError<A>>
        where
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::try_call(self, function, argument)
        }

        /// Calls a function for each argument, and returns the results in the order of
        /// the arguments; see
        /// [`FunctionExecutorExt::call_map`](crate::function::FunctionExecutorExt::call_map).
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
let words = [\"a\", \"bc\", \"def\"].map(str::to_owned);
let lengths: Result<Vec<usize>, _> = executor.call_map(LENGTH, words).collect();
assert_eq!(lengths?, [1, 2, 3]);
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn call_map<A, R, I>(
            &self,
            function: crate::function::Function<A, R>,
            arguments: I,
        ) -> crate::Map<'_, I::IntoIter, R>
        where
            I: IntoIterator<Item = A>,
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::call_map(self, function, arguments)
        }

        /// Calls a function for each argument, and returns the results as they come; see
        /// [`FunctionExecutorExt::call_map_unordered`](crate::function::FunctionExecutorExt::call_map_unordered).
        ///
        /// # Examples
        ///
        #[doc = concat!("```", $fence, "\n", $first, "
let words = [\"a\", \"bc\", \"def\"].map(str::to_owned);
let mut all = 0;
for length in executor.call_map_unordered(LENGTH, words) {
    all += length?;
}
assert_eq!(all, 6);
# Ok::<(), Box<dyn std::error::Error>>(())
```")]
        pub fn call_map_unordered<A, R, I>(
            &self,
            function: crate::function::Function<A, R>,
            arguments: I,
        ) -> crate::MapUnordered<'_, I::IntoIter, R>
        where
            I: IntoIterator<Item = A>,
            A: serde::Serialize + Send + 'static,
            R: serde::de::DeserializeOwned + Send + 'static,
        {
            crate::function::FunctionExecutorExt::call_map_unordered(self, function, arguments)
        }
    };
}
pub(crate) use call_without_import;

impl dyn FunctionExecutor + '_ {
    call_without_import!(
        "",
        "use as_completed::ThreadPool;
use as_completed::function::{Function, FunctionExecutor};

const LENGTH: Function<String, usize> = Function::new(\"length\", |text| text.len());

let executor: &dyn FunctionExecutor = &ThreadPool::new(1);"
    );
}

impl fmt::Debug for dyn FunctionExecutor + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn FunctionExecutor")
    }
}
