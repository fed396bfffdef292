//! What is kept of threads that were started, and what becomes of tasks whose thread
//! cannot be.

use super::{is_refused, must_end, pool, pool_of, second_is_taken, spawner};
use crate::ThreadPool;
use crate::error::JoinError;
use crate::sync::spawn;
use crate::task::{JoinHandle, TaskEvent};
use std::io;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

type Held = JoinHandle<Result<(), mpsc::RecvError>>;

/// A task that has started, and ends when the sender is dropped.
fn held(pool: &ThreadPool) -> (mpsc::Sender<()>, Held) {
    let ((start, started), (open, gate)) = (mpsc::channel(), mpsc::channel());
    let task = pool.submit(move || {
        start.send(()).unwrap();
        gate.recv()
    });
    started.recv().unwrap();
    (open, task)
}

fn release((open, task): (mpsc::Sender<()>, Held)) {
    drop(open);
    assert!(task.join().unwrap().is_err());
}

#[test]
fn threads_that_have_ended_are_not_kept() {
    must_end(|| {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .keep_alive(Duration::from_nanos(1))
            .spawner(spawner(|_| false))
            .build()
            .unwrap();
        for _ in 0..5 {
            pool.submit(|| ()).join().unwrap();
            let all_have_ended = || {
                let threads = pool.core.threads();
                let mut threads = threads.iter();
                pool.worker_count() == 0 && threads.all(thread::JoinHandle::is_finished)
            };
            while !all_have_ended() {
                thread::yield_now();
            }
            assert_eq!(pool.core.threads().len(), 1);
        }
    });
}

/// The only other worker has taken both and runs one: the other is in its outbox.
#[test]
fn a_sleeper_takes_what_another_has_taken_over_when_a_thread_cannot_be_started() {
    must_end(|| {
        let (starting, fail) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let gates = (Arc::clone(&starting), Arc::clone(&fail));
        let pool = Arc::new(pool(spawner(move |n| {
            if n == 2 {
                gates.0.wait();
                gates.1.wait();
            }
            n == 2
        })));
        let (first, second) = (held(&pool), held(&pool));
        let inside = Arc::clone(&pool);
        let third = thread::spawn(move || inside.submit(|| ()).join());
        starting.wait();
        release(second);
        second_is_taken(&pool);
        let (start, started) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let fourth = pool.submit(move || {
            start.send(()).unwrap();
            gate.recv()
        });
        let fifth = pool.submit(|| 42);
        release(first);
        started.recv().unwrap();
        fail.wait();
        assert_eq!(fifth.join().unwrap(), 42);
        release((open, fourth));
        third.join().unwrap().unwrap();
    });
}

#[test]
fn an_observer_hears_that_a_task_is_withdrawn_whose_thread_cannot_be_started() {
    must_end(|| {
        let (sender, events) = mpsc::channel();
        let pool = ThreadPool::builder()
            .max_workers(1)
            .observer(move |event| sender.send(*event).unwrap())
            .spawner(spawner(|_| true))
            .build()
            .unwrap();
        let outcome: Result<(), JoinError> = pool.submit(|| ()).join();
        assert!(is_refused(&outcome));
        let events: Vec<_> = events.try_iter().collect();
        assert!(matches!(
            events[..],
            [TaskEvent::Queued { .. }, TaskEvent::Withdrawn { .. }]
        ));
    });
}

/// The first thread is recorded only when the second could not be started, and its
/// worker is busy by then: it does not say that another can come.
#[test]
fn an_awaited_task_whose_thread_cannot_be_started_does_not_wait_for_one_started_before() {
    must_end(|| {
        let (open, gate) = mpsc::channel::<()>();
        let gate = crate::sync::Mutex::new(gate);
        let pool = Arc::new(pool_of(
            2,
            Box::new(move |index, body| {
                if index > 0 {
                    return Err(io::Error::from(io::ErrorKind::WouldBlock));
                }
                let thread = spawn("first".to_owned(), None, body)?;
                let _ = gate.lock().recv();
                Ok(Some(thread))
            }),
        ));
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let awaited = inner.submit(|| thread::current().id());
            drop(open);
            while inner.core.state.lock().starting > 0 {
                thread::yield_now();
            }
            awaited.join().unwrap() == thread::current().id()
        });
        assert!(outer.join().unwrap());
    });
}
