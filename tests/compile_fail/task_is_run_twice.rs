//! A task runs once, whatever its executor does.

use as_completed::{Executor, RejectedTask, Task};

struct Twice;

impl Executor for Twice {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        task.run();
        task.run(); //~ E0382
        Ok(())
    }
}

fn main() {}
