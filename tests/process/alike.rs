//! What holds on every executor of functions, whether it runs them on the caller,
//! on threads, in processes or over a cluster.

use crate::executors::{
    each, each_here, on_each, on_each_elsewhere, on_each_of_one_worker, on_each_that_cancels,
};
use crate::functions::{
    FRAIL_PANIC, FROM_DOOMED, FROM_FRAIL, Frail, HOLD, PANIC, PARSE, PICKY, Picky, RECORD, Record,
    SQUARE, SQUARE_OF_FRAIL, UNREADABLE, UNREGISTERED,
};
use crate::paths::{path_text, pids_in};
use crate::support::{ON_PURPOSE, alarm, expect_panics};
use crate::worker::pool;
use as_completed::function::{Function, FunctionExecutor, FunctionExecutorExt, Functions};
use as_completed::process::ProcessPool;
use as_completed::{
    CallError, Inline, JoinError, Rejected, ReturnWhen, ThreadPool, as_completed, wait,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, mpsc};
use std::time::Duration;

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
fn ids_of_calls_are_keys_too() {
    on_each(|executor| {
        let mut arguments = HashMap::new();
        let calls: Vec<_> = (0..20)
            .map(|n| {
                let call = executor.call(SQUARE, n);
                arguments.insert(call.id(), n);
                call
            })
            .collect();
        for call in as_completed(calls) {
            let n = arguments.remove(&call.id()).unwrap();
            assert_eq!(call.join().unwrap(), n * n);
        }
        assert!(arguments.is_empty());
    });
}

#[test]
fn an_error_that_a_function_returns_is_a_result() {
    on_each(|executor| {
        let parse = |text: &str| executor.call(PARSE, text.to_owned()).join().unwrap();
        assert_eq!(parse("42"), Ok(42));
        assert_eq!(parse("z"), Err("invalid digit found in string".to_owned()));
    });
}

#[test]
fn a_call_that_finishes_first_is_yielded_first() {
    on_each_of_one_worker(|executor| {
        let (pid, gate) = (path_text("order"), path_text("order-gate"));
        let held = executor.call(HOLD, (pid.clone(), gate.clone()));
        pids_in(pid.as_ref());
        let mut calls = as_completed([held]);
        let (done, first) = mpsc::channel();
        // Of another executor, so that it can run now.
        let quick = Inline.submit(|| 1);
        quick.on_done(move |_| done.send(()).unwrap());
        first.recv().unwrap();
        calls.push(quick);
        assert_eq!(calls.next().unwrap().join().unwrap(), 1);
        std::fs::write(&gate, "open").unwrap();
        assert!(calls.next().unwrap().join().unwrap() > 1);
        std::fs::remove_file(gate).unwrap();
    });
}

#[test]
fn wait_tells_done_from_pending() {
    on_each(|executor| {
        let calls = (0..10).map(|n| executor.call(SQUARE, n));
        let waited = wait(calls, ReturnWhen::AllCompleted, None);
        assert_eq!((waited.done.len(), waited.pending.len()), (10, 0));
    });
    expect_panics();
    on_each(|executor| {
        let calls = (0..10).map(|_| executor.call(PANIC, ON_PURPOSE.to_owned()));
        let waited = wait(calls, ReturnWhen::FirstFailure, None);
        assert!(!waited.done.is_empty());
    });
    on_each_of_one_worker(|executor| {
        let (pid, gate) = (path_text("wait"), path_text("wait-gate"));
        let held = executor.call(HOLD, (pid.clone(), gate.clone()));
        pids_in(pid.as_ref());
        let timeout = Some(Duration::from_millis(1));
        let waited = wait([held], ReturnWhen::AllCompleted, timeout);
        assert_eq!((waited.done.len(), waited.pending.len()), (0, 1));
        std::fs::write(&gate, "open").unwrap();
        let waited = wait(waited.pending, ReturnWhen::FirstCompleted, None);
        assert_eq!((waited.done.len(), waited.pending.len()), (1, 0));
        std::fs::remove_file(gate).unwrap();
    });
}

#[test]
fn a_call_that_is_cancelled_before_it_starts_never_runs() {
    on_each_that_cancels(|executor, arrived| {
        let (pid, gate) = (path_text("cancel"), path_text("cancel-gate"));
        let held = executor.call(HOLD, (pid.clone(), gate.clone()));
        pids_in(pid.as_ref());
        let second = path_text("never");
        let queued = executor.call(HOLD, (second.clone(), gate.clone()));
        assert!(queued.cancel());
        assert!(queued.is_cancelled());
        arrived();
        std::fs::write(&gate, "open").unwrap();
        held.join().unwrap();
        assert!(queued.join().unwrap_err().is_cancelled());
        assert_eq!(executor.call(SQUARE, 3).join().unwrap(), 9);
        assert!(!std::path::Path::new(&second).exists());
        std::fs::remove_file(gate).unwrap();
    });
}

#[test]
fn a_call_that_has_returned_is_not_cancelled() {
    on_each(|executor| {
        let call = executor.call(SQUARE, 3);
        call.wait();
        assert!(!call.cancel() && !call.is_cancelled());
        assert_eq!(call.join().unwrap(), 9);
    });
}

#[test]
fn try_call_is_a_call_where_there_is_room() {
    on_each(|executor| {
        let call = executor.try_call(SQUARE, 3).unwrap();
        assert_eq!(call.join().unwrap(), 9);
    });
    let pool = ThreadPool::new(1);
    pool.shutdown();
    let error = pool.try_call(PANIC, "kept".to_owned()).unwrap_err();
    assert!(matches!(error.reason(), Rejected::ShutDown));
    assert_eq!(error.into_argument(), "kept");
}

#[test]
fn callbacks_may_call() {
    each(1, |executor| {
        let (executor, (done, call)) = (Arc::new(executor), mpsc::channel());
        let same = Arc::clone(&executor);
        executor.call(SQUARE, 3).on_result(move |nine| {
            done.send(same.call(SQUARE, nine.unwrap())).unwrap();
        });
        assert_eq!(call.recv().unwrap().join().unwrap(), 81);
    });
}

#[test]
fn callbacks_may_wait_for_what_they_call() {
    each_here(1, |executor| {
        let (executor, (done, answer)) = (Arc::new(executor), mpsc::channel());
        let same = Arc::clone(&executor);
        executor.call(SQUARE, 3).on_done(move |_| {
            done.send(same.call(SQUARE, 4).join().unwrap()).unwrap();
        });
        assert_eq!(answer.recv().unwrap(), 16);
    });
}

#[test]
fn a_dropped_handle_detaches_its_call() {
    each(1, |executor| {
        let (pid, gate) = (path_text("detached"), path_text("detached-gate"));
        std::fs::write(&gate, "open").unwrap();
        drop(executor.call(HOLD, (pid.clone(), gate.clone())));
        // The drop of an executor runs what is queued.
        drop(executor);
        assert_eq!(pids_in(pid.as_ref()).len(), 1);
        std::fs::remove_file(gate).unwrap();
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
fn call_map_unordered_yields_all_whatever_the_chunks() {
    on_each(|executor| {
        for chunk_size in [1, 7, 100] {
            let squares = executor.call_map_unordered(SQUARE, 0..50);
            let squares: HashSet<_> = squares.chunk_size(chunk_size).map(Result::unwrap).collect();
            assert_eq!(squares, (0..50).map(|n| n * n).collect());
        }
    });
}

#[test]
fn references_boxes_and_generic_callers_take_any_of_them() {
    fn nine<E: FunctionExecutor + ?Sized>(executor: &E) -> u64 {
        executor.call(SQUARE, 3).join().unwrap()
    }
    fn nine_of_dyn(executor: &dyn FunctionExecutor) -> u64 {
        nine(executor)
    }
    #[allow(clippy::needless_pass_by_value, reason = "that is what it is for")]
    fn nine_of_impl(executor: impl FunctionExecutor) -> u64 {
        nine(&executor)
    }
    let _alarm = alarm();
    let pool = pool(1);
    assert_eq!((nine(&Inline), nine(&pool)), (9, 9));
    assert_eq!((nine_of_dyn(&Inline), nine_of_dyn(&pool)), (9, 9));
    assert_eq!((nine_of_impl(Inline), nine_of_impl(&pool)), (9, 9));
    let shared: Arc<ProcessPool> = Arc::new(pool);
    assert_eq!(nine_of_impl(Arc::clone(&shared)), 9);
    assert_eq!(nine_of_impl(Box::new(crate::worker::pool(1))), 9);
    let boxed: Box<dyn FunctionExecutor> = Box::new(shared);
    assert_eq!(
        (boxed.call(SQUARE, 3).join().unwrap(), nine_of_impl(boxed)),
        (9, 9)
    );
}

#[test]
#[should_panic(expected = "two functions have the name \"square\"")]
fn two_functions_of_one_name_are_refused_by_name() {
    const OTHER: Function<(), ()> = Function::new("square", |()| ());
    let _ = Functions::new().with(SQUARE).with(OTHER);
}

#[test]
fn a_result_that_cannot_be_read_fails_its_call_and_says_so() {
    on_each_elsewhere(|executor| {
        match executor.call(UNREADABLE, 1).join() {
            Err(JoinError::Call(error)) => assert_eq!(
                error.to_string(),
                "cannot decode the result of function \"unreadable\": it is unreadable"
            ),
            other => unreachable!("{other:?}"),
        }
        assert_eq!(executor.call(SQUARE, 3).join().unwrap(), 9);
    });
}

#[test]
fn an_argument_that_panics_as_it_is_encoded_fails_its_call_and_not_the_caller() {
    on_each_elsewhere(|executor| {
        match executor.call(PICKY, Picky(4)).join() {
            Err(JoinError::Panicked(panic)) => assert_eq!(panic.message(), "it is 4 on purpose"),
            other => unreachable!("{other:?}"),
        }
        assert_eq!(executor.call(PICKY, Picky(2)).join().unwrap(), 2);
    });
}

#[test]
fn an_argument_whose_drop_panics_is_sent_all_the_same() {
    expect_panics();
    on_each_elsewhere(|executor| {
        for n in 0..5 {
            let call = executor.call(SQUARE_OF_FRAIL, Frail(n));
            assert_eq!(call.join().unwrap(), n * n);
            let call = executor.try_call(SQUARE_OF_FRAIL, Frail(n)).unwrap();
            assert_eq!(call.join().unwrap(), n * n);
        }
        for chunk_size in [1, 3] {
            let squares = executor.call_map(SQUARE_OF_FRAIL, (0..5).map(Frail));
            let squares: Result<Vec<_>, _> = squares.chunk_size(chunk_size).collect();
            assert!(squares.unwrap().iter().copied().eq((0..5).map(|n| n * n)));
        }
    });
}

#[test]
fn a_result_whose_drop_panics_where_it_was_made_comes_back() {
    expect_panics();
    on_each_elsewhere(|executor| {
        for n in 0..5 {
            assert_eq!(executor.call(FROM_FRAIL, n).join().unwrap(), n);
        }
        for chunk_size in [1, 3] {
            let all = executor.call_map(FROM_FRAIL, 0..5).chunk_size(chunk_size);
            assert!(all.map(Result::unwrap).eq(0..5));
        }
    });
}

#[test]
fn a_result_that_panics_as_it_is_encoded_and_as_it_is_dropped_fails_its_call_alone() {
    expect_panics();
    on_each_elsewhere(|executor| {
        match executor.call(FROM_DOOMED, 3).join() {
            Err(JoinError::Panicked(panic)) => {
                assert_eq!(panic.message(), "the encoding of 3 on purpose");
            }
            other => unreachable!("{other:?}"),
        }
        let all = executor.call_map(FROM_DOOMED, 0..4).chunk_size(2);
        assert!(all.map(Result::unwrap_err).all(|error| error.is_panic()));
        assert_eq!(executor.call(SQUARE, 3).join().unwrap(), 9);
    });
}

#[test]
fn a_panic_whose_payload_panics_in_its_drop_fails_its_call_alone() {
    expect_panics();
    on_each_elsewhere(|executor| {
        for n in 0..3 {
            assert!(executor.call(FRAIL_PANIC, n).join().unwrap_err().is_panic());
            assert_eq!(executor.call(SQUARE, n).join().unwrap(), n * n);
        }
    });
}

#[test]
fn a_function_that_is_not_registered_is_an_error_that_names_those_that_are() {
    on_each_elsewhere(|executor| {
        match executor.call(UNREGISTERED, ()).join() {
            Err(JoinError::Call(error)) => {
                let CallError::Unknown {
                    function, known, ..
                } = *error
                else {
                    unreachable!("{error:?}");
                };
                assert_eq!(function, "unregistered");
                assert!(known.contains(&"square".to_owned()));
            }
            other => unreachable!("{other:?}"),
        }
        assert_eq!(executor.call(SQUARE, 3).join().unwrap(), 9);
    });
}
