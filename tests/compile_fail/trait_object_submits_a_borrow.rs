//! `dyn Executor` asks for as much as a pool does.

use as_completed::Executor;

fn length(executor: &dyn Executor, text: &str) -> usize {
    executor.submit(|| text.len()).join().unwrap() //~ E0521
}

fn main() {
    length(&as_completed::Inline, "text");
}
