//! Carries a span of whoever submits a task into the task: an executor that wraps.

use as_completed::{Executor, ExecutorExt, JoinError, RejectedTask, Task, ThreadPool};
use std::cell::RefCell;

thread_local! {
    /// The span of this thread; `tracing::Span::current()` in a larger program.
    static SPAN: RefCell<String> = RefCell::default();
}

fn in_span<T>(span: &str, body: impl FnOnce() -> T) -> T {
    let outer = SPAN.replace(span.to_owned());
    let result = body();
    SPAN.set(outer);
    result
}

/// A pool whose tasks run in the span in which they were submitted.
struct Traced(ThreadPool);

impl Executor for Traced {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        let span = SPAN.with_borrow(String::clone);
        // The same task, wherever it runs: its handle, token and nested waits stay.
        self.0.execute(task.wrap(move |run| in_span(&span, run)))
    }
}

fn main() -> Result<(), JoinError> {
    let pool = Traced(ThreadPool::new(2));
    let log = |message| SPAN.with_borrow(|span| format!("[{span}] {message}"));
    let lines = ["request 1", "request 2"]
        .map(|request| in_span(request, || pool.submit(move || log("loaded"))));
    for line in lines {
        let line = line.join()?;
        println!("{line}");
        assert!(line.starts_with("[request "));
    }
    Ok(())
}
