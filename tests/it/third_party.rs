//! Executors that others write, by `execute` alone.
//!
//! Behaviours ported from the JDK's `ExecutorCompletionServiceTest`: results are
//! taken as they come from whatever executor runs the tasks, a mixture of
//! returns, failures and cancellations included.

use crate::support::{Gate, ON_PURPOSE, alarm, expect_panics};
use as_completed::{
    Executor, ExecutorExt, JoinError, JoinHandle, Rejected, RejectedTask, ReturnWhen, Task,
    ThreadPool, as_completed, wait,
};
use std::collections::VecDeque;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// tokio's threads for blocking work.
struct Blocking(tokio::runtime::Handle);

impl Executor for Blocking {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0.spawn_blocking(|| task.run());
        Ok(())
    }
}

/// One thread and a channel.
struct Single(Mutex<Option<Sender<Task>>>);

impl Single {
    fn new() -> Self {
        let (sender, tasks) = mpsc::channel::<Task>();
        thread::spawn(move || tasks.into_iter().for_each(Task::run));
        Self(Mutex::new(Some(sender)))
    }

    fn stop(&self) {
        self.0.lock().unwrap().take();
    }
}

impl Executor for Single {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        match &*self.0.lock().unwrap() {
            Some(sender) => sender
                .send(task)
                .map_err(|unsent| RejectedTask::new(unsent.0, Rejected::ShutDown)),
            None => Err(RejectedTask::new(task, Rejected::ShutDown)),
        }
    }
}

/// Lets so many tasks at a time through to a pool.
struct Limited {
    pool: ThreadPool,
    state: Arc<Mutex<(usize, VecDeque<Task>)>>,
}

impl Executor for Limited {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        let mut state = self.state.lock().unwrap();
        if state.0 == 0 {
            state.1.push_back(task);
            return Ok(());
        }
        state.0 -= 1;
        drop(state);
        let state = Arc::clone(&self.state);
        drop(self.pool.submit(move || {
            let mut next = Some(task);
            while let Some(task) = next {
                task.run();
                let mut state = state.lock().unwrap();
                next = state.1.pop_front();
                state.0 += usize::from(next.is_none());
            }
        }));
        Ok(())
    }
}

fn for_each_executor(check: impl Fn(&dyn Executor)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    check(&Blocking(runtime.handle().clone()));
    check(&Single::new());
    check(&Limited {
        pool: ThreadPool::new(3),
        state: Arc::new(Mutex::new((2, VecDeque::new()))),
    });
    check(&ThreadPool::new(2));
}

#[test]
fn everything_else_comes_from_execute() {
    let _alarm = alarm();
    for_each_executor(|executor| {
        assert_eq!(executor.submit(|| 1).join().unwrap(), 1);
        assert_eq!(executor.try_submit(|| 2).unwrap().join().unwrap(), 2);
        let handles = (0..100).map(|number| executor.submit(move || number));
        let sum: i32 = as_completed(handles).map(|one| one.join().unwrap()).sum();
        assert_eq!(sum, 4950);
        let waited = wait(
            [executor.submit(|| ()), executor.submit(|| ())],
            ReturnWhen::AllCompleted,
            None,
        );
        assert_eq!(waited.done.len(), 2);
        let squares: Result<Vec<_>, _> = executor.map(0..50, |n| n * n).buffer(7).collect();
        assert_eq!(squares.unwrap()[49], 49 * 49);
        assert_eq!(
            executor.map_unordered(0..50, |n| n).chunk_size(9).count(),
            50
        );
        assert_eq!(pollster::block_on(executor.submit(|| 3)).unwrap(), 3);
    });
}

#[test]
fn a_mixture_of_ends_is_taken_once_each() {
    let _alarm = alarm();
    expect_panics();
    for_each_executor(|executor| {
        let gate = Gate::new();
        let handles: Vec<_> = (0..30)
            .map(|number| {
                let turnstile = gate.turnstile();
                let handle = executor.submit(move || {
                    turnstile.pass();
                    assert!(number % 3 > 0, "{ON_PURPOSE}");
                    number
                });
                (number, handle)
            })
            .collect();
        let mut expected_cancelled = 0;
        for (number, handle) in &handles {
            if number % 5 == 0 && handle.cancel() {
                expected_cancelled += 1;
            }
        }
        gate.open();
        let (mut returned, mut panicked, mut cancelled) = (0, 0, 0);
        for (number, handle) in as_completed(handles) {
            match handle.join() {
                Ok(result) => {
                    assert_eq!(result, number);
                    returned += 1;
                }
                Err(JoinError::Panicked(panic)) => {
                    assert_eq!(panic.message(), ON_PURPOSE);
                    panicked += 1;
                }
                Err(JoinError::Cancelled) => cancelled += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(returned + panicked + cancelled, 30);
        assert_eq!(cancelled, expected_cancelled);
        assert!(returned >= 14 && panicked >= 4);
    });
}

#[test]
fn cancelling_reaches_pending_and_running_tasks() {
    let _alarm = alarm();
    for_each_executor(|executor| {
        let (sender, started) = mpsc::channel();
        let running = executor.submit_cancellable(move |token| {
            sender.send(()).unwrap();
            token.sleep(Duration::MAX)
        });
        started.recv().unwrap();
        assert!(!running.cancel());
        assert!(!running.join().unwrap());
    });
    let single = Single::new();
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let busy = single.submit(move || turnstile.pass());
    let pending: JoinHandle<i32> = single.submit(|| unreachable!());
    assert!(pending.cancel());
    gate.open();
    busy.join().unwrap();
    assert!(pending.join().unwrap_err().is_cancelled());
}

#[test]
fn an_executor_that_goes_away_leaves_nobody_waiting() {
    let _alarm = alarm();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let blocking = Blocking(runtime.handle().clone());
    let gate = Gate::new();
    let (sender, started) = mpsc::channel();
    let turnstile = gate.turnstile();
    let running = blocking.submit(move || {
        sender.send(()).unwrap();
        turnstile.pass();
        1
    });
    started.recv().unwrap();
    let queued = blocking.submit(|| 2);
    runtime.shutdown_background();
    let later = blocking.submit(|| 3);
    gate.open();
    assert_eq!(running.join().unwrap(), 1);
    // Whether it runs what is queued is for the executor to say.
    assert!(matches!(
        queued.join(),
        Ok(2) | Err(JoinError::Rejected(Rejected::Lost))
    ));
    assert!(matches!(
        later.join(),
        Err(JoinError::Rejected(Rejected::Lost))
    ));

    let single = Single::new();
    single.stop();
    let error = single.submit(|| ()).join().unwrap_err();
    assert!(matches!(error, JoinError::Rejected(Rejected::ShutDown)));
    assert_eq!(single.try_submit(|| 4).unwrap_err().into_closure()(), 4);
}
