//! What a worker keeps for its tasks, and the index that it has.

use crate::support::{ON_PURPOSE, alarm, expect_panics};
use as_completed::{JoinError, JoinHandle, Rejected, StatefulPool, ThreadPool};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// Counts how many there have been, and how many there are.
#[derive(Clone, Default)]
struct Census(Arc<(AtomicUsize, AtomicUsize)>);

impl Census {
    fn made(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn alive(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// A state, which is not `Send`.
struct State {
    number: usize,
    uses: Rc<Cell<usize>>,
    census: Census,
}

impl State {
    fn new(number: usize, census: &Census) -> Self {
        census.0.0.fetch_add(1, Ordering::SeqCst);
        census.0.1.fetch_add(1, Ordering::SeqCst);
        Self {
            number,
            uses: Rc::default(),
            census: census.clone(),
        }
    }

    fn use_once(&self) -> usize {
        self.uses.set(self.uses.get() + 1);
        self.uses.get()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.census.0.1.fetch_sub(1, Ordering::SeqCst);
    }
}

fn pool(workers: usize, census: &Census) -> StatefulPool<State> {
    let census = census.clone();
    ThreadPool::builder()
        .max_workers(workers)
        .build_with_state(move |index| Ok(State::new(index, &census)))
        .unwrap()
}

#[test]
fn each_worker_makes_its_state_once_and_is_told_its_index() {
    let _alarm = alarm();
    let census = Census::default();
    let pool = pool(2, &census);
    let both = Arc::new(Barrier::new(2));
    let indices = [(); 2].map(|()| {
        let both = Arc::clone(&both);
        pool.submit(move |state| {
            both.wait();
            (state.number, ThreadPool::worker_index())
        })
    });
    let indices: BTreeSet<_> = indices.map(|handle| handle.join().unwrap()).into();
    assert_eq!(indices, BTreeSet::from([(0, Some(0)), (1, Some(1))]));
    let handles: Vec<_> = (0..100)
        .map(|_| pool.submit(|state| state.use_once()))
        .collect();
    let most = handles
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .max();
    assert!(most >= Some(50));
    assert_eq!(census.made(), 2);
    pool.thread_pool().join();
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_task_inside_of_another_has_a_state_of_its_own() {
    let _alarm = alarm();
    let census = Census::default();
    let pool = Arc::new(pool(1, &census));
    for _ in 0..3 {
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move |outer| {
            let before = outer.use_once();
            let nested = inner.submit(|state| Rc::as_ptr(&state.uses).addr());
            assert_ne!(nested.join().unwrap(), Rc::as_ptr(&outer.uses).addr());
            assert_eq!(outer.use_once(), before + 1);
        });
        outer.join().unwrap();
    }
    assert_eq!(census.made(), 2);
}

#[test]
fn a_state_that_cannot_be_made_is_the_error_of_its_task_and_tried_again() {
    let _alarm = alarm();
    let attempts = AtomicUsize::new(0);
    let pool = ThreadPool::builder()
        .max_workers(1)
        .build_with_state(move |_| match attempts.fetch_add(1, Ordering::SeqCst) {
            0 => Err("no database".into()),
            attempt => Ok(attempt),
        })
        .unwrap();
    let error = pool.submit(|number| *number).join().unwrap_err();
    assert!(matches!(
        error,
        JoinError::Rejected(Rejected::Initializer(_))
    ));
    assert_eq!(pool.submit(|number| *number).join().unwrap(), 1);
    assert_eq!(pool.submit(|number| *number).join().unwrap(), 1);
}

#[test]
fn a_task_that_panics_takes_its_state_along() {
    let _alarm = alarm();
    expect_panics();
    let census = Census::default();
    let pool = pool(1, &census);
    assert_eq!(pool.submit(|state| state.use_once()).join().unwrap(), 1);
    let failed: JoinHandle<()> = pool.submit(|_| panic!("{ON_PURPOSE}"));
    assert!(failed.join().unwrap_err().is_panic());
    assert_eq!(census.alive(), 0);
    assert_eq!(pool.submit(|state| state.use_once()).join().unwrap(), 1);
    assert_eq!(census.made(), 2);
}

#[test]
fn a_state_whose_drop_panics_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("{ON_PURPOSE}");
        }
    }
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .build_with_state(|_| Ok(Bomb))
        .unwrap();
    let failed: JoinHandle<()> = pool.submit(|_| panic!("{ON_PURPOSE}"));
    assert!(failed.join().unwrap_err().is_panic());
    assert_eq!(pool.submit(|_| 4).join().unwrap(), 4);
    pool.thread_pool().join();
}

#[test]
fn what_is_not_taken_comes_back_and_what_runs_is_asked_to_stop() {
    let _alarm = alarm();
    let pool = pool(1, &Census::default());
    let sleeper = pool.submit_cancellable(|state, token| {
        state.use_once();
        token.sleep(Duration::MAX)
    });
    pool.thread_pool().cancel_all();
    assert!(!sleeper.join().unwrap_or(false));
    pool.thread_pool().shutdown();
    let error = pool.try_submit(|state| state.number).unwrap_err();
    assert!(matches!(error.reason(), Rejected::ShutDown));
    let closure = error.into_closure();
    assert_eq!(closure(&mut State::new(7, &Census::default())), 7);
    assert!(pool.submit(|_| ()).join().unwrap_err().is_rejected());
}

#[test]
fn an_initializer_knows_the_index_of_its_worker() {
    let _alarm = alarm();
    let (sender, indices) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let pool = ThreadPool::builder()
        .max_workers(2)
        .initializer(move || Ok(sender.lock().unwrap().send(ThreadPool::worker_index())?))
        .build()
        .unwrap();
    let both = Arc::new(Barrier::new(2));
    let handles = [(); 2].map(|()| {
        let both = Arc::clone(&both);
        pool.submit(move || {
            both.wait();
        })
    });
    for handle in handles {
        handle.join().unwrap();
    }
    let indices: BTreeSet<_> = indices.try_iter().collect();
    assert_eq!(indices, BTreeSet::from([Some(0), Some(1)]));
    assert_eq!(ThreadPool::worker_index(), None);
}
