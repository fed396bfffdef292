//! Tasks that an executor keeps and hands on to a pool later, whose workers may wait
//! for them by then.

use crate::support::{SHORT, alarm};
use as_completed::{
    Executor, ExecutorExt, JoinHandle, Limit, RejectedTask, ReturnWhen, Task, ThreadPool,
    as_completed, wait,
};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// Gives its tasks to whoever hands them on.
struct Later(Mutex<mpsc::Sender<Task>>);

impl Executor for Later {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        self.0.lock().unwrap().send(task).unwrap();
        Ok(())
    }
}

fn squares(later: &dyn Executor) -> Vec<JoinHandle<u64>> {
    (0..9).map(|n| later.submit(move || n * n)).collect()
}

/// How a task waits for the squares of 0 to 8, and takes their sum.
type Gather = fn(&dyn Executor) -> u64;

const GATHERERS: [Gather; 9] = [
    |later| squares(later).into_iter().map(|n| n.join().unwrap()).sum(),
    // The last is waited for first.
    |later| {
        let squares = squares(later).into_iter().rev();
        squares.map(|n| n.join().unwrap()).sum()
    },
    |later| {
        as_completed(squares(later))
            .map(|n| n.join().unwrap())
            .sum()
    },
    |later| {
        let waited = wait(squares(later), ReturnWhen::AllCompleted, None);
        waited.done.into_iter().map(|n| n.join().unwrap()).sum()
    },
    |later| later.map(0..9_u64, |n| n * n).map(Result::unwrap).sum(),
    |later| {
        let squares = later.map_unordered(0..9_u64, |n| n * n).buffer(2);
        squares.map(Result::unwrap).sum()
    },
    |later| {
        let squares = later.map(0..9_u64, |n| n * n).read_in_background();
        squares.map(Result::unwrap).sum()
    },
    // The next item comes after the result of the one before.
    |later| {
        let (input, items) = mpsc::channel();
        input.send(0).unwrap();
        let squares = later.map(items, |n: u64| n * n).read_in_background();
        let sums = squares.take(9).zip(1..).map(|(square, next)| {
            input.send(next).unwrap();
            square.unwrap()
        });
        sums.sum()
    },
    |later| {
        let squares = later.map_unordered(0..9_u64, |n| n * n);
        squares.read_in_background().map(Result::unwrap).sum()
    },
];

#[test]
fn a_task_handed_on_to_a_pool_whose_workers_wait_for_it_runs_there() {
    let _alarm = alarm();
    for workers in [1, 2] {
        for (gather, limit) in GATHERERS.into_iter().flat_map(|g| [(g, false), (g, true)]) {
            let pool = Arc::new(ThreadPool::new(workers));
            let (sender, kept) = mpsc::channel();
            let handing_on = {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    // The worker may fall asleep before it comes, or not.
                    for (place, task) in kept.iter().enumerate() {
                        if place % 3 == 0 {
                            thread::sleep(SHORT / 4);
                        }
                        pool.execute(task).unwrap();
                    }
                })
            };
            let later: Arc<dyn Executor> = if limit {
                Arc::new(Limit::new(Later(Mutex::new(sender)), 1))
            } else {
                Arc::new(Later(Mutex::new(sender)))
            };
            let outer: Vec<_> = (0..workers)
                .map(|_| {
                    let later = Arc::clone(&later);
                    pool.submit(move || gather(&*later))
                })
                .collect();
            for sum in outer {
                assert_eq!(sum.join().unwrap(), 204);
            }
            drop(later);
            handing_on.join().unwrap();
        }
    }
}

/// The first pool refuses the task: that it was there for a moment, and whose workers
/// saw it so, makes no difference.
#[test]
fn a_task_handed_on_to_a_second_pool_runs_where_its_worker_waits_for_it() {
    let _alarm = alarm();
    let (first, second) = (ThreadPool::new(1), ThreadPool::new(1));
    first.shutdown();
    let (sender, kept) = mpsc::channel();
    let later = Later(Mutex::new(sender));
    let awaited = later.submit(|| thread::current().id());
    let (about_to_wait, waits) = mpsc::channel();
    let outer = second.submit(move || {
        about_to_wait.send(()).unwrap();
        awaited.join().unwrap() == thread::current().id()
    });
    waits.recv().unwrap();
    thread::sleep(SHORT);
    let refused = first.execute(kept.recv().unwrap()).unwrap_err();
    second.execute(refused.into_task()).unwrap();
    assert!(outer.join().unwrap());
}

#[test]
fn a_worker_of_another_pool_only_waits_for_a_task_handed_on() {
    let _alarm = alarm();
    let (one, other) = (ThreadPool::new(1), ThreadPool::new(1));
    let (sender, kept) = mpsc::channel();
    let later = Later(Mutex::new(sender));
    let awaited = later.submit(|| thread::current().id());
    let outer = one.submit(move || awaited.join().unwrap() == thread::current().id());
    thread::sleep(SHORT);
    other.execute(kept.recv().unwrap()).unwrap();
    assert!(!outer.join().unwrap());
}
