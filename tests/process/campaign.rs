//! Deaths of all kinds under load. The environment variable
//! `AS_COMPLETED_CAMPAIGN` says how many rounds there are, 1 by default; 100 are
//! the whole campaign, of some minutes.

use crate::functions::{ABORT, EXIT, GORGE, LAST, OVERFLOW, PID, SIGNAL, SQUARE};
use crate::paths::lives;
use crate::worker::builder;
use as_completed::function::Function;
use as_completed::process::{ProcessPool, ProcessPoolBuilder};
use as_completed::{JoinError, as_completed};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn rounds() -> usize {
    std::env::var("AS_COMPLETED_CAMPAIGN").map_or(1, |rounds| rounds.parse().unwrap())
}

const TASKS: u64 = 1_000;

/// One death in the middle of many calls, at 1, 2 and 8 children: one call fails,
/// the others return, and no child is missing or too many.
fn one_death<A>(
    function: Function<A, u64>,
    argument: &A,
    set: fn(ProcessPoolBuilder) -> ProcessPoolBuilder,
) where
    A: serde::Serialize + Clone + Send + 'static,
{
    for workers in [1, 2, 8] {
        let pool = set(builder(workers)).build().unwrap();
        for _ in 0..rounds() {
            let calls = (0..TASKS).map(|n| {
                let call = match n {
                    500 => pool.call(function, argument.clone()),
                    n => pool.call(SQUARE, n),
                };
                (n, call)
            });
            let (mut returned, mut died) = (0, 0);
            for (n, call) in as_completed(calls) {
                match call.join() {
                    Ok(square) => {
                        assert_eq!(square, n * n);
                        returned += 1;
                    }
                    Err(JoinError::Died(_)) => {
                        assert_eq!(n, 500);
                        died += 1;
                    }
                    Err(other) => unreachable!("{other:?}"),
                }
            }
            assert_eq!((returned, died), (TASKS - 1, 1));
        }
        let pids = is_at_full_size(&pool);
        drop(pool);
        assert!(!pids.into_iter().any(lives));
    }
}

/// As many children as there may be answer.
fn is_at_full_size(pool: &ProcessPool) -> Vec<u32> {
    let gate = crate::paths::path_text("full-size");
    let _ = std::fs::remove_file(&gate);
    let paths: Vec<_> = (0..pool.max_workers())
        .map(|n| format!("{gate}-{n}"))
        .collect();
    let calls: Vec<_> = paths
        .iter()
        .map(|path| pool.call(crate::functions::HOLD, (path.clone(), gate.clone())))
        .collect();
    let mut pids: Vec<_> = paths
        .iter()
        .flat_map(|path| crate::paths::pids_in(path.as_ref()))
        .collect();
    std::fs::write(&gate, "open").unwrap();
    for call in calls {
        call.join().unwrap();
    }
    std::fs::remove_file(gate).unwrap();
    pids.sort_unstable();
    assert_eq!(pids, pool.pids());
    assert_eq!(pids.len(), pool.max_workers());
    pids
}

#[test]
fn one_death_of_each_kind_fails_one_call() {
    one_death(SIGNAL, &"KILL".to_owned(), |builder| builder);
    one_death(SIGNAL, &"SEGV".to_owned(), |builder| builder);
    one_death(ABORT, &(), |builder| builder);
    one_death(EXIT, &0, |builder| builder);
    one_death(OVERFLOW, &0, |builder| builder);
    one_death(GORGE, &(1 << 40), |builder| builder.memory_limit(1 << 30));
}

#[test]
fn kills_at_random_leave_every_call_with_one_answer() {
    let kills = 100 * rounds();
    let pool = builder(4).build().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut done, mut dying) = (0, HashSet::new());
            while done < kills {
                let pids = pool.pids();
                // Each child once: those that are listed still may be dead already.
                dying.retain(|pid| pids.contains(pid));
                let alive: Vec<_> = pids.iter().filter(|pid| !dying.contains(*pid)).collect();
                if let Some(&&pid) = alive.get(fastrand::usize(..=alive.len())) {
                    dying.insert(pid);
                    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                    // It may have ended by itself since, but is not another's: ids
                    // are not given again so soon.
                    done += usize::from(kill_process(pid, Signal::KILL).is_ok());
                }
                thread::yield_now();
            }
            is_over.store(true, Ordering::Release);
        });
        let (mut returned, mut died) = (0_u64, 0_u64);
        while !is_over.load(Ordering::Acquire) {
            let calls = as_completed((0..200).map(|n| (n, pool.call(SQUARE, n))));
            assert_eq!(calls.len(), 200);
            for (n, call) in calls {
                match call.join() {
                    Ok(square) => {
                        assert_eq!(square, n * n);
                        returned += 1;
                    }
                    Err(JoinError::Died(_)) => died += 1,
                    Err(other) => unreachable!("{other:?}"),
                }
            }
        }
        println!("{kills} kills: {returned} calls returned, {died} died");
    });
    assert_eq!(pool.call(SQUARE, 3).join().unwrap(), 9);
}

#[test]
fn deaths_in_chunks_of_short_and_long_calls_fail_one_call_each() {
    let pool = builder(2).build().unwrap();
    for _ in 0..10 * rounds() {
        // Of all lengths around that at which a call that runs is told of.
        let calls: Vec<_> = (0..300)
            .map(|_| match fastrand::u32(..100) {
                0 => (0, true),
                1..10 => (fastrand::u64(..4_000), fastrand::u8(..10) == 0),
                _ => (0, false),
            })
            .collect();
        let size = fastrand::usize(1..=200);
        let results: Vec<_> = pool
            .call_map(LAST, calls.clone())
            .chunk_size(size)
            .collect();
        assert_eq!(results.len(), calls.len());
        for (place, (&(micros, is_fatal), result)) in calls.iter().zip(results).enumerate() {
            match result {
                Ok(same) => assert!(same == micros && !is_fatal, "{place}, chunks of {size}"),
                Err(JoinError::Died(_)) => assert!(is_fatal, "{place}, chunks of {size}"),
                Err(other) => unreachable!("{other:?}"),
            }
        }
    }
}

#[test]
fn children_that_are_replaced_all_the_time_do_all_the_work() {
    let tasks = 1_000 * rounds();
    let pool = builder(2).max_tasks_per_child(2).build().unwrap();
    let calls: Vec<_> = (0..tasks).map(|_| pool.call(PID, ())).collect();
    let mut by_pid = HashMap::new();
    for call in as_completed(calls) {
        *by_pid.entry(call.join().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(by_pid.values().sum::<usize>(), tasks);
}
