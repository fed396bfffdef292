//! What goes wrong around a pool: threads that cannot be started, thread-locals
//! that outlive their thread's work, owners that are lost in odd places.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::bombs::{Count, keep_quiet, must_end, panic_as_meant};
use as_completed::{JoinError, Rejected, ThreadPool, as_completed};
use std::cell::RefCell;
use std::env;
use std::fs;
use std::panic::panic_any;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn a_thread_that_the_system_refuses_rejects_what_trusted_in_it() {
    must_end(|| {
        let pool = ThreadPool::builder()
            .max_workers(2)
            .stack_size(1 << 46)
            .build()
            .unwrap();
        for _ in 0..2 {
            match pool.submit(|| ()).join() {
                Err(JoinError::Rejected(Rejected::Thread(_))) => {}
                other => panic!("{other:?}"),
            }
            let error = pool.try_submit(|| 42).unwrap_err();
            assert!(matches!(error.reason(), Rejected::Thread(_)));
            assert_eq!(error.into_closure()(), 42);
        }
        assert_eq!((pool.worker_count(), pool.queued_count()), (0, 0));
    });
}

/// Runs in the destructor of a thread-local.
#[derive(Default)]
struct AtExit(Option<Box<dyn FnOnce()>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(last_act) = self.0.take() {
            last_act();
        }
    }
}

thread_local! {
    static AT_EXIT: RefCell<AtExit> = const { RefCell::new(AtExit(None)) };
}

fn at_exit(last_act: impl FnOnce() + 'static) {
    AT_EXIT.with_borrow_mut(|at_exit| at_exit.0 = Some(Box::new(last_act)));
}

#[test]
fn submit_and_join_in_the_destructor_of_a_thread_local() {
    must_end(|| {
        let pool = Arc::new(ThreadPool::new(1));
        let (result, joined) = mpsc::channel();
        let inside = Arc::clone(&pool);
        let thread = thread::spawn(move || {
            at_exit(move || {
                let handles = [1, 2].map(|n| inside.submit(move || n));
                let sum: i32 = as_completed(handles).map(|h| h.join().unwrap()).sum();
                result.send(sum).unwrap();
            });
        });
        thread.join().unwrap();
        assert_eq!(joined.recv(), Ok(3));
    });
}

#[test]
fn submit_and_join_in_the_destructor_of_a_thread_local_of_a_worker() {
    must_end(|| {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .keep_alive(Duration::ZERO)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let (result, joined) = mpsc::channel();
        let inside = Arc::clone(&pool);
        pool.submit(move || {
            at_exit(move || {
                let _ = result.send(inside.submit(|| 42).join().unwrap());
            });
        })
        .join()
        .unwrap();
        assert_eq!(joined.recv(), Ok(42));
        assert_eq!(pool.submit(|| 43).join().unwrap(), 43);
    });
}

#[test]
fn last_owner_of_the_pool_in_a_thread_local_of_its_worker() {
    must_end(|| {
        let pool = ThreadPool::builder()
            .keep_alive(Duration::ZERO)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let gone = Arc::downgrade(&pool);
        let (sender, ended) = mpsc::channel::<()>();
        let inside = Arc::clone(&pool);
        let handle = pool.submit(move || {
            at_exit(move || {
                drop(inside);
                drop(sender);
            });
        });
        drop(pool);
        handle.join().unwrap();
        assert!(ended.recv().is_err());
        assert_eq!(gone.strong_count(), 0);
    });
}

#[test]
fn join_waits_for_the_thread_locals_of_every_worker() {
    must_end(|| {
        let pool = ThreadPool::new(3);
        let (destroyed, gate) = (Count::default(), Arc::new(Barrier::new(4)));
        for _ in 0..3 {
            let (destroyed, gate) = (destroyed.clone(), Arc::clone(&gate));
            pool.submit(move || {
                let is_first = thread::current()
                    .name()
                    .is_some_and(|name| name.ends_with("-worker-0"));
                at_exit(move || {
                    if is_first {
                        // For a join that does not wait for it to be noticed.
                        thread::sleep(Duration::from_millis(50));
                    }
                    destroyed.add();
                });
                gate.wait();
            })
            .detach();
        }
        gate.wait();
        pool.join();
        assert_eq!(destroyed.so_far(), 3);
    });
}

#[test]
fn last_owner_of_the_pool_in_its_own_task() {
    must_end(|| {
        let pool = Arc::new(ThreadPool::new(2));
        let (give, take) = mpsc::channel::<Arc<ThreadPool>>();
        let dropping = pool.submit(move || drop(take.recv().unwrap()));
        let others: Vec<_> = (0..8).map(|n| pool.submit(move || n)).collect();
        give.send(pool).unwrap();
        dropping.join().unwrap();
        for (n, handle) in others.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), n);
        }
    });
}

#[test]
fn last_owner_of_the_pool_in_a_callback_of_its_own_task() {
    must_end(|| {
        let pool = Arc::new(ThreadPool::new(1));
        let (give, take) = mpsc::channel::<Arc<ThreadPool>>();
        let (start, started) = mpsc::channel::<()>();
        let dropping = pool.submit(move || started.recv().unwrap());
        dropping.on_done(move |_| drop(take.recv().unwrap()));
        start.send(()).unwrap();
        let other = pool.submit(|| 42);
        give.send(pool).unwrap();
        dropping.join().unwrap();
        assert_eq!(other.join().unwrap(), 42);
    });
}

/// Panics in its drop, with a payload that panics in its own.
struct BombWithin(Count);

impl Drop for BombWithin {
    fn drop(&mut self) {
        panic_any(self.0.bomb());
    }
}

/// Runs `scenario` in a process of its own, which must survive it: `test` is
/// the full name of the calling test.
fn survives(test: &str, scenario: impl FnOnce()) {
    const CHILD: &str = "AS_COMPLETED_CHILD";
    if env::var_os(CHILD).is_some() {
        return scenario();
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}{output:?}");
}

// In a process of its own: where the worker lets such a panic through, std
// ends the process.
#[test]
fn initializer_whose_drop_sets_off_a_bomb_within_a_bomb_on_the_last_worker() {
    survives(
        "faults::initializer_whose_drop_sets_off_a_bomb_within_a_bomb_on_the_last_worker",
        || {
            must_end(|| {
                let payload_dropped = Count::default();
                let bomb = BombWithin(payload_dropped.clone());
                let pool = ThreadPool::builder()
                    .max_workers(1)
                    .initializer(move || {
                        let _bomb = &bomb;
                        Ok(())
                    })
                    .build()
                    .unwrap();
                let pool = Arc::new(pool);
                let inside = Arc::clone(&pool);
                let (ready, go) = mpsc::channel::<()>();
                let (done, ended) = mpsc::channel::<()>();
                let handle = pool.submit(move || {
                    go.recv().unwrap();
                    at_exit(move || drop(done));
                    drop(inside);
                });
                drop(pool);
                ready.send(()).unwrap();
                handle.join().unwrap();
                assert!(ended.recv().is_err());
                assert_eq!(payload_dropped.so_far(), 1);
            });
        },
    );
}

#[test]
fn callback_that_drops_the_iterator_over_its_task() {
    must_end(|| {
        let pool = ThreadPool::new(1);
        let (start, started) = mpsc::channel::<()>();
        let handle = pool.submit(move || started.recv().unwrap());
        let iterator = Arc::new(Mutex::new(None));
        let inside = Arc::clone(&iterator);
        handle.on_done(move |_| drop(inside.lock().unwrap().take()));
        *iterator.lock().unwrap() = Some(as_completed([handle]));
        start.send(()).unwrap();
        assert_eq!(pool.submit(|| 42).join().unwrap(), 42);
        assert!(iterator.lock().unwrap().is_none());
    });
}

/// The worker of one pool looks through the handles, then hands the iterator
/// to the only worker of the other, whose tasks are among them.
#[test]
fn iterator_that_goes_from_the_worker_of_one_pool_to_that_of_another() {
    must_end(|| {
        let (one, other) = (ThreadPool::new(1), ThreadPool::new(1));
        let (give, take) = mpsc::channel();
        let sum = one.submit(move || {
            let all: as_completed::AsCompleted<as_completed::JoinHandle<i32>> =
                take.recv().unwrap();
            all.map(|handle| handle.join().unwrap()).sum::<i32>()
        });
        let (start, started) = mpsc::channel::<()>();
        let soon = thread::spawn(move || started.recv().unwrap());
        // Behind the one that waits, so that only its worker can run it.
        let behind = one.submit(|| 40);
        let finished = as_completed::Inline.submit(|| 1);
        let elsewhere = ThreadPool::new(1);
        let late = elsewhere.submit(move || {
            soon.join().unwrap();
            1
        });
        let looked = other.submit(move || {
            let mut all = as_completed([behind, late, finished]);
            let mut sum = all.next().unwrap().join().unwrap();
            start.send(()).unwrap();
            sum += all.next().unwrap().join().unwrap();
            (sum, all)
        });
        let (so_far, all) = looked.join().unwrap();
        give.send(all).unwrap();
        assert_eq!(so_far + sum.join().unwrap(), 42);
    });
}

#[test]
fn cancel_all_reaches_a_task_that_a_worker_runs_for_want_of_room() {
    must_end(|| {
        let pool = ThreadPool::builder()
            .max_workers(1)
            .queue_capacity(1)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        let inside = Arc::clone(&pool);
        let (running, runs) = mpsc::channel();
        let outer = pool.submit(move || {
            let _fills_the_queue = inside.submit(|| ());
            let inner = inside.submit_cancellable(move |token| {
                running.send(()).unwrap();
                token.sleep(Duration::MAX)
            });
            inner.join().unwrap()
        });
        runs.recv().unwrap();
        assert_eq!(pool.cancel_all(), 1);
        assert!(!outer.join().unwrap());
    });
}

#[test]
fn callbacks_that_panic_do_not_keep_the_next_from_being_called() {
    must_end(|| {
        keep_quiet();
        let pool = ThreadPool::new(1);
        let called = Count::default();
        let (start, started) = mpsc::channel::<()>();
        let handle = pool.submit(move || started.recv().unwrap());
        for n in 0..9 {
            let called = called.clone();
            handle.on_done(move |_| {
                called.add();
                if n % 3 != 1 {
                    panic_as_meant();
                }
            });
        }
        start.send(()).unwrap();
        pool.join();
        assert_eq!(called.so_far(), 9);
        handle.join().unwrap();
    });
}

/// Where panics abort, the first one in a task ends the process, after its
/// report: no pool can keep a promise about panics then.
#[test]
fn a_panic_in_a_task_ends_a_process_whose_panics_abort() {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
    fs::create_dir_all(program.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"panic-abort\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\nas-completed = {{ path = {library:?}, default-features = false }}\n\n\
         [profile.dev]\npanic = \"abort\"\n\n[workspace]\n",
    );
    fs::write(program.join("Cargo.toml"), manifest).unwrap();
    let lock = Path::new(library).join("Cargo.lock");
    if lock.exists() {
        // The versions that are here already.
        fs::copy(lock, program.join("Cargo.lock")).unwrap();
    }
    let main = "fn main() {
        let pool = as_completed::ThreadPool::new(1);
        let handle = pool.submit(|| panic!(\"the last words\"));
        println!(\"{:?}\", handle.join());
    }";
    fs::write(program.join("src/main.rs"), main).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--manifest-path"])
        .arg(program.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(program.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    let run = Command::new(program.join("target/debug/panic-abort"))
        .output()
        .unwrap();
    assert!(!run.status.success());
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        const SIGABRT: i32 = 6;
        assert_eq!(run.status.signal(), Some(SIGABRT));
    }
    assert!(run.stdout.is_empty());
    assert!(String::from_utf8_lossy(&run.stderr).contains("the last words"));
}
