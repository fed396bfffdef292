//! The messages of the errors, and their common traits.

use crate::support::{ON_PURPOSE, alarm, expect_panics, occupy};
use as_completed::{BuildError, Inline, JoinError, Rejected, ThreadPool, WaitTimeoutError};
use std::error::Error;
use std::time::Duration;

fn all_errors() -> Vec<Box<dyn Error + Send + Sync>> {
    expect_panics();
    let shut = ThreadPool::new(1);
    shut.shutdown();
    let broken = ThreadPool::builder()
        .initializer(|| Err("no database".into()))
        .build()
        .unwrap();
    let threadless = ThreadPool::builder().stack_size(1 << 46).build().unwrap();
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let unfinished = as_completed::as_completed(busy.handles())
        .next_timeout(Duration::ZERO)
        .unwrap_err();
    let pool_unfinished = pool.join_timeout(Duration::ZERO).unwrap_err();
    busy.release();
    vec![
        Box::new(Inline.submit(|| panic!("{ON_PURPOSE}")).join().unwrap_err()),
        Box::new(JoinError::Cancelled),
        Box::new(shut.submit(|| ()).join().unwrap_err()),
        Box::new(broken.submit(|| ()).join().unwrap_err()),
        Box::new(threadless.submit(|| ()).join().unwrap_err()),
        Box::new(Rejected::QueueFull),
        Box::new(Rejected::Lost),
        Box::new(BuildError::NoWorkers),
        Box::new(BuildError::NoCapacity),
        Box::new(BuildError::ThreadName),
        Box::new(WaitTimeoutError),
        Box::new(unfinished),
        Box::new(pool_unfinished),
    ]
}

#[test]
fn messages_are_phrases_that_fit_into_others() {
    let _alarm = alarm();
    for error in all_errors() {
        let message = error.to_string();
        assert!(!message.ends_with('.'), "{message}");
        let first = message.chars().next().unwrap();
        assert!(!first.is_uppercase(), "{message}");
        assert!(!format!("{error:?}").is_empty());
    }
}

#[test]
fn each_error_says_something_of_its_own() {
    let _alarm = alarm();
    let mut messages: Vec<_> = all_errors().iter().map(ToString::to_string).collect();
    messages.sort();
    let count = messages.len();
    messages.dedup();
    assert_eq!(messages.len(), count);
}

// An error is in the message or in the source, not in both: else reports say
// everything twice.
#[test]
fn nothing_is_said_twice_along_the_sources() {
    let _alarm = alarm();
    for error in all_errors() {
        let message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            assert!(!message.contains(&cause.to_string()), "{message}");
            source = cause.source();
        }
    }
}

#[test]
fn the_question_mark_works_on_every_wait() {
    fn all(pool: &ThreadPool) -> Result<u32, Box<dyn Error + Send + Sync>> {
        let handle = pool.submit(|| 1);
        handle.wait_timeout(Duration::MAX)?;
        let one = handle.join()?;
        let mut timed = as_completed::as_completed([pool.submit(|| 2)]).timeout(Duration::MAX);
        let two = timed.next().ok_or("one handle")??.join()?;
        let four = pool.submit(|| "4".parse::<u32>()).join()??;
        pool.join_timeout(Duration::MAX)?;
        Ok(one + two + four)
    }
    let _alarm = alarm();
    assert_eq!(all(&ThreadPool::new(1)).unwrap(), 7);
}

/// What a report that follows the sources prints.
fn chain(error: &dyn Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        messages.push(cause.to_string());
        source = cause.source();
    }
    messages
}

#[derive(Debug)]
struct NoDatabase;

impl std::fmt::Display for NoDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no database")
    }
}

impl Error for NoDatabase {}

#[test]
fn the_cause_of_a_failed_initializer_is_found_along_the_sources() {
    let _alarm = alarm();
    let pool = ThreadPool::builder()
        .initializer(|| Err(NoDatabase.into()))
        .build()
        .unwrap();
    let expected = ["initializer of a worker failed", "no database"];
    let error = pool.submit(|| ()).join().unwrap_err();
    assert_eq!(chain(&error), expected);
    let cause = error.source().and_then(<dyn Error>::downcast_ref);
    assert!(matches!(cause, Some(NoDatabase)));
    let error = pool.try_submit(|| ()).unwrap_err();
    assert_eq!(chain(&error), expected);
}

#[test]
fn the_error_of_the_operating_system_is_found_along_the_sources() {
    let _alarm = alarm();
    let pool = ThreadPool::builder().stack_size(1 << 46).build().unwrap();
    let error = pool.submit(|| ()).join().unwrap_err();
    let cause: &std::io::Error = error.source().unwrap().downcast_ref().unwrap();
    let expected = ["cannot start a thread".to_owned(), cause.to_string()];
    assert_eq!(chain(&error), expected);
}

#[test]
fn a_rejection_says_its_reason_and_nothing_twice() {
    let error = JoinError::Rejected(Rejected::ShutDown);
    assert_eq!(chain(&error), ["cannot schedule new tasks after shutdown"]);
}
