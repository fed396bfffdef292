//! What keeps a program with a pool from harm: no fork bomb, no orphan, no
//! interrupted child, nothing left over. Each needs a program of its own, which
//! is another run of this binary.

use crate::children::died;
use crate::functions::{self, ABORT, GRANDCHILD, HANG, HOLD, PANIC, PRINT, SQUARE};
use crate::paths::{lives, path, path_text, pids_in, text_in};
use crate::support::{alarm, eventually};
use crate::worker::{builder, pool};
use as_completed::JoinError;
use as_completed::process::ProcessPool;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATH: &str = "AS_COMPLETED_TEST_PATH";

/// Another run of this binary, as the program that the test of that name is
/// when it has a path.
fn program(name: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            &*format!("guards::{name}"),
            "--exact",
            "--nocapture",
            "--quiet",
        ])
        .env(PATH, path)
        .stdout(Stdio::null());
    command
}

/// The path, if this process is such a program: as a test it has nothing to do.
fn path_of_program() -> Option<String> {
    std::env::var(PATH).ok()
}

#[test]
fn program_that_does_not_reach_init() {
    if let Some(path) = path_of_program() {
        let error = ProcessPool::new(1, functions::all()).unwrap_err();
        functions::write(&path, &error.to_string());
    }
}

#[test]
fn a_pool_is_not_built_where_init_was_not_reached() {
    let _alarm = alarm();
    let path = path("no-init");
    let status = program("program_that_does_not_reach_init", &path).status();
    assert!(status.unwrap().success());
    let text = text_in(&path);
    assert!(
        text.contains("call functions.init() first thing in main"),
        "{text}"
    );
}

#[test]
fn a_child_that_does_not_reach_init_builds_no_pool_and_fails_its_call() {
    let _alarm = alarm();
    let path = path("bomb");
    let functions = functions::all();
    functions.init();
    let pool = ProcessPool::builder(functions)
        .max_workers(1)
        .args([
            "guards::program_that_does_not_reach_init",
            "--exact",
            "--quiet",
        ])
        .env(PATH, &path)
        .build()
        .unwrap();
    died(pool.call(SQUARE, 1));
    let text = text_in(&path);
    assert!(
        text.starts_with("a child process builds a pool before"),
        "{text}"
    );
}

#[test]
fn program_with_a_grandchild() {
    if let Some(path) = path_of_program() {
        let _ = pool(2).call(GRANDCHILD, path).join();
    }
}

#[test]
fn a_parent_that_is_killed_leaves_no_descendant() {
    let _alarm = alarm();
    let path = path("orphans");
    let mut parent = program("program_with_a_grandchild", &path).spawn().unwrap();
    let pids = pids_in(&path);
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().copied().all(lives));
    let start = Instant::now();
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually(|| !pids.iter().copied().any(lives));
    println!("all three are gone after {:?}", start.elapsed());
}

#[test]
fn program_whose_chunk_kills_its_process() {
    if path_of_program().is_some() {
        let pool = pool(1);
        let calls = pool.call_map(PRINT, (0..10).map(|item| (item, 5)));
        for (item, result) in (0..).zip(calls.chunk_size(10)) {
            assert_eq!(result.is_err(), item == 5);
        }
    }
}

#[test]
fn what_a_call_printed_is_not_lost_where_a_later_one_kills_the_process() {
    let _alarm = alarm();
    let output = program("program_whose_chunk_kills_its_process", &path("printed"))
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    for item in (0..10).filter(|&item| item != 5) {
        assert!(printed.contains(&format!("<{item}>")), "{printed}");
    }
}

#[test]
fn program_that_is_interrupted() {
    if let Some(path) = path_of_program() {
        let (interrupt, interrupted) = mpsc::channel();
        ctrlc::set_handler(move || interrupt.send(()).unwrap()).unwrap();
        let gate = format!("{path}-gate");
        let pool = pool(1);
        let call = pool.call(HOLD, (path, gate.clone()));
        interrupted.recv().unwrap();
        // The parent decides: the call may end as it likes.
        std::fs::write(&gate, "open").unwrap();
        call.join().unwrap();
        std::fs::remove_file(gate).unwrap();
    }
}

#[test]
fn ctrl_c_reaches_the_parent_alone() {
    let _alarm = alarm();
    let path = path("interrupt");
    let mut parent = program("program_that_is_interrupted", &path)
        .process_group(0)
        .spawn()
        .unwrap();
    pids_in(&path);
    // As the terminal does, to the whole group.
    let group = format!("-{}", parent.id());
    let sent = Command::new("kill").args(["-INT", "--", &group]).status();
    assert!(sent.unwrap().success());
    assert!(parent.wait().unwrap().success());
}

#[test]
fn program_that_leaves_nothing_over() {
    let Some(path) = path_of_program() else {
        return;
    };
    let _alarm = alarm();
    let before = belongings();
    for capture in [false, true] {
        let builder = || builder(2).capture_stderr(capture).max_tasks_per_child(3);
        let pool = builder().build().unwrap();
        let hasty = builder().call_timeout(Duration::from_millis(200));
        let hasty = hasty.build().unwrap();
        let hanging = path_text("hanging");
        for _ in 0..3 {
            assert!(matches!(
                pool.call(ABORT, ()).join(),
                Err(JoinError::Died(_))
            ));
            assert!(
                pool.call(PANIC, "on purpose".to_owned())
                    .join()
                    .unwrap_err()
                    .is_panic()
            );
            let call = pool.call(HANG, hanging.clone());
            call.cancel();
            assert!(call.join().unwrap_err().is_cancelled());
            assert!(matches!(
                hasty.call(HANG, hanging.clone()).join(),
                Err(JoinError::TimedOut(_))
            ));
            let squares = pool.call_map(SQUARE, 0..20).chunk_size(7);
            assert_eq!(squares.map(Result::unwrap).count(), 20);
        }
        drop((pool, hasty));
        let _ = std::fs::remove_file(hanging);
    }
    // Threads that have no more to do may be on their way out.
    eventually(|| belongings() == before);
    functions::write(&path, "nothing is left over");
}

/// Open descriptors, threads, children and zombies.
fn belongings() -> (usize, usize, usize) {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let own = std::process::id().to_string();
    let is_child = |stat: &str| {
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        after_name.split(' ').nth(1) == Some(&own)
    };
    let children = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter(|stat| is_child(stat))
        .count();
    (count("/proc/self/fd"), count("/proc/self/task"), children)
}

#[test]
fn descriptors_threads_and_children_are_as_before() {
    let _alarm = alarm();
    let path = path("belongings");
    let status = program("program_that_leaves_nothing_over", &path).status();
    assert!(status.unwrap().success());
    assert_eq!(text_in(&path), "nothing is left over");
}
