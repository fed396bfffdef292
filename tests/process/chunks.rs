//! `call_map` with chunks: many calls in one message, and yet each for itself.

use crate::functions::{
    LOCK_AND_HANG, LOG, LOG_AND_HANG, Logged, PANIC, PICKY, PID, Picky, SQUARE, UNREADABLE,
};
use crate::paths::path;
use crate::support::{alarm, expect_panics};
use crate::worker::{builder, pool};
use as_completed::function::Function;
use as_completed::{CallError, JoinError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const ITEMS: u64 = 100;

/// A timeout that only a call which hangs exceeds, and not one that stands still for some
/// seconds.
const UNHURRIED: Duration = Duration::from_secs(10);

fn logged(log: &std::path::Path, fatal: u64) -> impl Iterator<Item = Logged> {
    let log = log.display().to_string();
    (0..ITEMS).map(move |item| (item, fatal, log.clone()))
}

/// How often each item was started.
fn starts(log: PathBuf) -> BTreeMap<u64, u32> {
    let mut starts = BTreeMap::new();
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        *starts.entry(line.parse().unwrap()).or_default() += 1;
    }
    std::fs::remove_file(log).unwrap();
    starts
}

#[test]
fn a_death_in_a_chunk_fails_one_call_wherever_it_is() {
    let _alarm = alarm();
    for (workers, chunk, fatal) in [(1, 100, 0), (1, 100, 57), (2, 30, 29), (2, 30, 99)] {
        let (pool, log) = (pool(workers), path(&format!("death-{chunk}-{fatal}")));
        let results: Vec<_> = pool
            .call_map(LOG, logged(&log, fatal))
            .chunk_size(chunk)
            .collect();
        assert_eq!(results.len(), 100);
        for (item, result) in (0..).zip(results) {
            match result {
                Ok(same) => assert!(same == item && item != fatal),
                Err(JoinError::Died(_)) => assert_eq!(item, fatal),
                other => unreachable!("{other:?}"),
            }
        }
        let starts = starts(log);
        assert_eq!(starts.len(), 100);
        assert!(starts.values().all(|&times| times <= 2), "{starts:?}");
    }
}

#[test]
fn without_chunks_no_call_is_made_twice() {
    let _alarm = alarm();
    let (pool, log) = (pool(2), path("once"));
    let failed = pool.call_map(LOG, logged(&log, 50)).filter(Result::is_err);
    assert_eq!(failed.count(), 1);
    assert!(starts(log).values().all(|&times| times == 1));
}

#[test]
fn a_timeout_in_a_chunk_is_that_of_one_call() {
    let _alarm = alarm();
    let timeout = UNHURRIED;
    let (pool, log) = (
        builder(1).call_timeout(timeout).build().unwrap(),
        path("slow"),
    );
    let calls = pool.call_map(LOG_AND_HANG, logged(&log, 40)).chunk_size(50);
    for (item, result) in (0..).zip(calls) {
        match result {
            Ok(same) => assert!(same == item && item != 40),
            Err(JoinError::TimedOut(after)) => assert_eq!((item, after.limit()), (40, timeout)),
            other => unreachable!("{other:?}"),
        }
    }
    // The call that ran is known, so no other is made again.
    assert!(starts(log).values().all(|&times| times == 1));
}

#[test]
fn a_timeout_of_a_call_that_locks_the_standard_output_is_that_of_one_call() {
    let _alarm = alarm();
    let pool = builder(1).call_timeout(UNHURRIED).build().unwrap();
    let calls = pool
        .call_map(LOCK_AND_HANG, (0..ITEMS).map(|item| (item, 40)))
        .chunk_size(50);
    for (item, result) in (0..).zip(calls) {
        match result {
            Ok(same) => assert!(same == item && item != 40),
            Err(error) => assert!(item == 40 && matches!(error, JoinError::TimedOut(_))),
        }
    }
}

#[test]
fn what_cannot_be_encoded_or_decoded_fails_one_call_of_its_chunk() {
    let _alarm = alarm();
    expect_panics();
    let pool = pool(1);
    let results: Vec<_> = pool
        .call_map(PICKY, (0..8).map(Picky))
        .chunk_size(8)
        .collect();
    for (n, result) in (0..).zip(results) {
        match (n, result) {
            (3, Err(JoinError::Call(error))) => {
                assert!(
                    matches!(
                        *error,
                        CallError::Encode {
                            part: "argument",
                            ..
                        }
                    ),
                    "{error}"
                );
            }
            (4, Err(JoinError::Panicked(panic))) => assert!(panic.message().contains("it is 4")),
            (5, Err(JoinError::Call(error))) => {
                assert!(
                    matches!(
                        *error,
                        CallError::Decode {
                            part: "argument",
                            ..
                        }
                    ),
                    "{error}"
                );
            }
            (n, result) => assert_eq!(result.unwrap(), n),
        }
    }
    let unreadable = pool.call_map(UNREADABLE, 0..3).chunk_size(3);
    let is_decode = |error: &JoinError| {
        matches!(error, JoinError::Call(error)
            if matches!(**error, CallError::Decode { part: "result", .. }))
    };
    assert_eq!(
        unreadable
            .filter(|result| result.as_ref().is_err_and(is_decode))
            .count(),
        3
    );
}

/// Panics as it is encoded, and as it is dropped, if it is 1.
struct Fragile(u64);

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, 1, "encoded on purpose");
        serializer.serialize_u64(self.0)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert_ne!(self.0, 1, "dropped on purpose");
    }
}

#[test]
fn an_argument_that_panics_twice_fails_one_call_of_its_chunk() {
    // The child has it for numbers.
    const SQUARE: Function<Fragile, u64> = Function::new("square", |fragile| fragile.0);
    let _alarm = alarm();
    expect_panics();
    let pool = pool(1);
    let squares = pool.call_map(SQUARE, [0, 1, 2, 1, 3].map(Fragile));
    let squares: Vec<_> = squares.chunk_size(5).collect();
    for (place, square) in squares.into_iter().enumerate() {
        match (place, square) {
            (1 | 3, Err(JoinError::Panicked(panic))) => {
                assert!(panic.message().contains("encoded on purpose"));
            }
            (place, square) => assert_eq!(square.unwrap(), [0, 1, 4, 1, 9][place]),
        }
    }
}

/// Panics as it is decoded if it is 1, and cannot be if it is 9.
#[derive(Debug, PartialEq, Serialize)]
struct Brittle(u64);

impl<'de> Deserialize<'de> for Brittle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let n = u64::deserialize(deserializer)?;
        assert_ne!(n, 1, "decoded on purpose");
        if n == 9 {
            return Err(D::Error::custom("it is 9"));
        }
        Ok(Self(n))
    }
}

#[test]
fn a_result_whose_decoding_panics_or_fails_fails_one_call_of_its_chunk() {
    // The child has it for numbers.
    const SQUARE: Function<u64, Brittle> = Function::new("square", Brittle);
    let _alarm = alarm();
    expect_panics();
    let pool = pool(1);
    let numbers = [0, 1, 1, 2, 3, 4, 1];
    let squares: Vec<_> = pool.call_map(SQUARE, numbers).chunk_size(7).collect();
    assert_eq!(squares.len(), numbers.len());
    for (n, square) in numbers.into_iter().zip(squares) {
        match (n, square) {
            (1, Err(JoinError::Panicked(panic))) => {
                assert!(panic.message().contains("decoded on purpose"));
            }
            (3, Err(JoinError::Call(error))) => {
                assert!(error.to_string().contains("it is 9"), "{error}");
            }
            (n, square) => assert_eq!(square.unwrap(), Brittle(n * n)),
        }
    }
}

#[test]
fn panics_in_a_chunk_cross_with_their_places_and_the_child_lives_on() {
    let _alarm = alarm();
    let pool = pool(1);
    let pid = pool.call(PID, ()).join().unwrap();
    let messages = ["one on purpose", "two on purpose"].map(str::to_owned);
    let panics = pool.call_map(PANIC, messages.clone()).chunk_size(2);
    for (message, panic) in messages.into_iter().zip(panics) {
        match panic {
            Err(JoinError::Panicked(panic)) => {
                assert_eq!(panic.message(), message);
                assert!(panic.location().unwrap().contains("functions.rs:"));
            }
            other => unreachable!("{other:?}"),
        }
    }
    assert_eq!(pool.call(PID, ()).join().unwrap(), pid);
}

#[test]
fn a_chunk_is_shared_among_children_that_may_do_little() {
    let _alarm = alarm();
    let pool = builder(1).max_tasks_per_child(2).build().unwrap();
    let pids = pool.call_map(PID, [(); 6]).chunk_size(5);
    let pids: Vec<_> = pids.map(Result::unwrap).collect();
    assert!(pids[0] == pids[1] && pids[2] == pids[3] && pids[4] == pids[5]);
    assert!(pids[1] != pids[2] && pids[3] != pids[4]);
}

#[test]
fn an_endless_input_is_read_as_far_as_the_buffer_goes() {
    let _alarm = alarm();
    let pool = pool(2);
    let read = std::cell::Cell::new(0);
    let input = (0..u64::MAX).inspect(|_| read.set(read.get() + 1));
    let mut squares = pool.call_map(SQUARE, input).chunk_size(10).buffer(3);
    assert_eq!(read.get(), 0);
    assert_eq!(squares.nth(4).unwrap().unwrap(), 16);
    assert!(read.get() <= 30, "{}", read.get());
    drop(squares);
    assert_eq!(pool.call(SQUARE, 2).join().unwrap(), 4);
}

#[test]
fn large_chunks_go_both_ways_at_once() {
    let _alarm = alarm();
    let pool = pool(2);
    let sum: u64 = pool
        .call_map(SQUARE, 0..200_000)
        .chunk_size(usize::MAX)
        .map(Result::unwrap)
        .sum();
    assert_eq!(sum, (0..200_000).map(|n| n * n).sum::<u64>());
}
