//! What holds on every executor of functions.

use crate::functions::{PANIC, RECORD, Record, SQUARE};
use crate::support::{ON_PURPOSE, alarm, expect_panics};
use crate::worker::pool;
use as_completed::function::{Function, FunctionExecutor, FunctionExecutorExt, Functions};
use as_completed::{Inline, JoinError, ReturnWhen, ThreadPool, as_completed, wait};
use std::collections::BTreeMap;

fn on_each(test: impl Fn(&dyn FunctionExecutor)) {
    let _alarm = alarm();
    test(&Inline);
    test(&ThreadPool::new(2));
    test(&pool(2));
}

#[test]
fn calls_return_their_results_under_their_keys() {
    on_each(|executor| {
        let calls = (0..20).map(|n| (n, executor.call(SQUARE, n)));
        let mut seen = 0;
        for (n, square) in as_completed(calls) {
            assert_eq!(square.join().unwrap(), n * n);
            seen += 1;
        }
        assert_eq!(seen, 20);
    });
}

#[test]
fn a_record_comes_back_as_it_went() {
    on_each(|executor| {
        let record = Record {
            name: "a".to_owned(),
            more: BTreeMap::from([("x".to_owned(), -1)]),
            large: i128::MIN,
            maybe: Some(Err("no".to_owned())),
        };
        assert_eq!(
            executor.call(RECORD, record.clone()).join().unwrap(),
            record
        );
    });
}

#[test]
fn a_panic_is_in_its_handle_with_its_message_and_the_next_call_runs() {
    expect_panics();
    on_each(|executor| {
        let message = format!("a call {ON_PURPOSE}");
        match executor.call(PANIC, message.clone()).join() {
            Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), message),
            other => unreachable!("{other:?}"),
        }
        assert_eq!(executor.call(SQUARE, 3).join().unwrap(), 9);
    });
}

#[test]
fn call_map_keeps_the_order_and_goes_on_after_a_panic() {
    expect_panics();
    on_each(|executor| {
        let squares: Result<Vec<_>, _> = executor.call_map(SQUARE, 0..50).chunk_size(7).collect();
        assert!(squares.unwrap().iter().copied().eq((0..50).map(|n| n * n)));
        let messages = ["one on purpose", "two on purpose"].map(str::to_owned);
        let failed = executor.call_map(PANIC, messages).chunk_size(2);
        assert_eq!(
            failed
                .filter(|result| result.as_ref().is_err_and(JoinError::is_panic))
                .count(),
            2
        );
    });
}

#[test]
fn call_map_unordered_is_lazy_and_yields_each_once() {
    on_each(|executor| {
        let endless = executor.call_map_unordered(SQUARE, 0..u64::MAX).buffer(4);
        assert_eq!(endless.take(30).map(Result::unwrap).count(), 30);
    });
}

#[test]
fn wait_and_generic_callers_take_any_of_them() {
    fn nine(executor: &impl FunctionExecutor) -> u64 {
        executor.call(SQUARE, 3).join().unwrap()
    }
    let pool = pool(1);
    assert_eq!((nine(&Inline), nine(&pool)), (9, 9));
    let waited = wait([pool.call(SQUARE, 1)], ReturnWhen::AllCompleted, None);
    assert_eq!((waited.done.len(), waited.pending.len()), (1, 0));
}

#[test]
#[should_panic(expected = "two functions have the name \"square\"")]
fn two_functions_of_one_name_are_refused_by_name() {
    const OTHER: Function<(), ()> = Function::new("square", |()| ());
    let _ = Functions::new().with(SQUARE).with(OTHER);
}
