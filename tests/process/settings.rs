//! What can be set about a process pool.

use crate::children::died;
use crate::functions::{
    HANG, HOLD, INITIALIZE, INITIALIZED_WITH, LAST_WORDS, PID, PLACE, SQUARE, UNREGISTERED,
};
use crate::paths::{lives, path, path_text, pids_in, stop};
use crate::support::{alarm, eventually};
use crate::worker::builder;
use as_completed::function::Function;
use as_completed::process::{ProcessBuildError, ProcessPool};
use as_completed::{CallError, JoinError, JoinHandle, Panic, Rejected};
use std::error::Error as _;
use std::time::Duration;

#[test]
fn arguments_environment_and_directory_reach_the_children() {
    let _alarm = alarm();
    let directory = std::env::temp_dir().canonicalize().unwrap();
    let pool = builder(1)
        // A filter that matches nothing.
        .args(["no_such_test", "--color=never"])
        .env("AS_COMPLETED_TEST_NAME", "value")
        .current_dir(&directory)
        .build()
        .unwrap();
    let place = pool.call(PLACE, "AS_COMPLETED_TEST_NAME".to_owned());
    let (arguments, variable, current) = place.join().unwrap();
    assert!(arguments.ends_with(&["no_such_test".to_owned(), "--color=never".to_owned()]));
    assert_eq!(variable.as_deref(), Some("value"));
    assert_eq!(current, directory.display().to_string());
}

#[test]
fn the_program_of_the_children_can_be_another() {
    let _alarm = alarm();
    // The same under another name.
    let program = path("program");
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &program).unwrap();
    let pool = builder(1).program(&program).build().unwrap();
    let place = pool.call(PLACE, "PATH".to_owned());
    let (arguments, _, _) = place.join().unwrap();
    assert_eq!(arguments[0], program.display().to_string());
    std::fs::remove_file(program).unwrap();
}

#[test]
fn there_are_as_many_children_as_processors_if_nothing_else_is_said() {
    let functions = crate::functions::all();
    functions.init();
    let pool = ProcessPool::builder(functions).build().unwrap();
    let processors = std::thread::available_parallelism().unwrap();
    assert_eq!(pool.max_workers(), processors.get());
    assert!(pool.pids().is_empty());
}

#[test]
fn an_initializer_runs_once_in_each_child_and_is_not_counted_as_a_call() {
    let _alarm = alarm();
    let pool = builder(1)
        .initializer(INITIALIZE, "ready".to_owned())
        .max_tasks_per_child(2)
        .build()
        .unwrap();
    let pids: Vec<_> = (0..4).map(|_| pool.call(PID, ()).join().unwrap()).collect();
    assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3]);
    for _ in 0..3 {
        let notes = pool.call(INITIALIZED_WITH, ()).join().unwrap();
        assert_eq!(notes, ["ready"]);
    }
}

#[test]
fn an_initializer_that_fails_or_panics_breaks_the_pool() {
    let _alarm = alarm();
    for (argument, message) in [
        ("fail no database", "no database"),
        ("panic at once on purpose", "at once on purpose"),
    ] {
        let pool = builder(2)
            .initializer(INITIALIZE, argument.to_owned())
            .build()
            .unwrap();
        let calls: Vec<_> = (0..10).map(|n| pool.call(SQUARE, n)).collect();
        let later = pool.call_map(SQUARE, 0..10).chunk_size(5);
        let errors = calls.into_iter().map(JoinHandle::join).chain(later);
        for error in errors {
            match error {
                Err(JoinError::Rejected(Rejected::Initializer(cause))) => {
                    let source = cause.source().unwrap();
                    match source.downcast_ref::<Panic>() {
                        Some(panic) => assert_eq!(panic.message(), message),
                        None => assert_eq!(source.to_string(), message),
                    }
                }
                other => unreachable!("{other:?}"),
            }
        }
    }
}

#[test]
fn an_initializer_whose_process_dies_fails_one_call() {
    let _alarm = alarm();
    let (once, pool) = (path("initializer"), builder(1));
    let argument = format!("die {}", once.display());
    let pool = pool.initializer(INITIALIZE, argument).build().unwrap();
    died(pool.call(SQUARE, 1));
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
    std::fs::remove_dir(once).unwrap();
}

#[test]
fn an_initializer_that_is_not_registered_is_an_error_of_the_builder() {
    const MISSING: Function<(), Result<(), String>> = Function::new("missing", |()| Ok(()));
    match builder(1).initializer(MISSING, ()).build() {
        Err(ProcessBuildError::Initializer(CallError::Unknown { function, .. })) => {
            assert_eq!(function, "missing");
        }
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn idle_children_end_after_keep_alive_and_others_are_started_when_needed() {
    let _alarm = alarm();
    let pool = builder(1)
        .keep_alive(Duration::from_millis(1))
        .build()
        .unwrap();
    let pid = pool.call(PID, ()).join().unwrap();
    eventually(|| pool.pids().is_empty() && !lives(pid));
    assert_ne!(pool.call(PID, ()).join().unwrap(), pid);
}

#[test]
fn a_child_that_does_not_exit_is_killed_after_the_grace() {
    let _alarm = alarm();
    let pool = builder(1)
        .stop_grace(Duration::from_millis(50))
        .build()
        .unwrap();
    let pid = pool.call(PID, ()).join().unwrap();
    stop(pid);
    drop(pool);
    assert!(!lives(pid));
}

#[test]
fn what_a_dead_child_wrote_last_is_in_its_error_where_it_was_captured() {
    let _alarm = alarm();
    let words = "these are its last words".to_owned();
    let pool = builder(1).capture_stderr(true).build().unwrap();
    for _ in 0..2 {
        let error = died(pool.call(LAST_WORDS, words.clone()));
        assert!(error.stderr().unwrap().contains(&words), "{error:?}");
        assert!(error.to_string().contains(&words), "{error}");
    }
    let pool = builder(1).build().unwrap();
    assert_eq!(died(pool.call(LAST_WORDS, words)).stderr(), None);
}

#[test]
fn a_full_queue_gives_the_argument_of_a_try_call_back() {
    let _alarm = alarm();
    let pool = builder(1).queue_capacity(1).build().unwrap();
    let (path, gate) = (path_text("full"), path_text("full-gate"));
    let running = pool.call(HOLD, (path.clone(), gate.clone()));
    pids_in(path.as_ref());
    let queued = pool.try_call(SQUARE, 3).unwrap();
    let error = pool.try_call(SQUARE, 4).unwrap_err();
    assert!(matches!(error.reason(), Rejected::QueueFull));
    assert_eq!(error.into_argument(), 4);
    std::fs::write(&gate, "open").unwrap();
    running.join().unwrap();
    assert_eq!(queued.join().unwrap(), 9);
    std::fs::remove_file(gate).unwrap();
    pool.shutdown();
    let error = pool.try_call(SQUARE, 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot schedule new tasks after shutdown"
    );
}

#[test]
fn join_timeout_says_what_is_left_and_cancel_all_ends_it() {
    let _alarm = alarm();
    let pool = builder(1).build().unwrap();
    let path = path("join");
    let running = pool.call(HANG, path.display().to_string());
    pids_in(&path);
    let queued = pool.call(SQUARE, 1);
    let left = pool.join_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!((left.running, left.queued), (1, 1));
    assert_eq!(pool.cancel_pending(), 1);
    assert!(queued.is_cancelled() && !running.is_finished());
    pool.cancel_all();
    assert!(running.join().unwrap_err().is_cancelled());
    assert_eq!(pool.join_timeout(Duration::MAX), Ok(()));
    assert!(pool.pids().is_empty());
}

#[test]
fn kill_ends_calls_whatever_their_children_are_about() {
    let _alarm = alarm();
    for _ in 0..20 {
        let pool = builder(2).build().unwrap();
        let path = path_text("kill");
        let calls = [(); 2].map(|()| pool.call(HANG, path.clone()));
        // While their children are being started.
        pool.kill();
        for call in calls {
            let error = call.join().unwrap_err();
            assert!(error.is_cancelled(), "{error:?}");
        }
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn a_function_that_only_the_parent_has_names_the_program_without_it() {
    let _alarm = alarm();
    let functions = crate::functions::all().with(UNREGISTERED);
    let pool = crate::worker::builder_of(functions, 1).build().unwrap();
    match pool.call(UNREGISTERED, ()).join() {
        Err(JoinError::Call(error)) => {
            let program = std::env::current_exe().unwrap();
            let text = error.to_string();
            assert!(text.contains(&*program.display().to_string()), "{text}");
            assert!(
                text.starts_with("function \"unregistered\" is not registered in child"),
                "{text}"
            );
        }
        other => unreachable!("{other:?}"),
    }
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}
