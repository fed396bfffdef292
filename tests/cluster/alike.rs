//! What holds on every executor of functions, a cluster included.

use crate::functions::{PANIC, SQUARE, UNREADABLE};
use crate::server::Server;
use crate::support::{ON_PURPOSE, alarm, expect_panics};
use crate::worker::{self, Here, Process};
use as_completed::function::{FunctionExecutor, FunctionExecutorExt};
use as_completed::{CallError, Inline, JoinError, ReturnWhen, ThreadPool, as_completed, wait};

fn on_each(test: impl Fn(&dyn FunctionExecutor)) {
    let _alarm = alarm();
    test(&Inline);
    test(&ThreadPool::new(2));
    crate::functions::all().init();
    test(&worker::pool_builder(2).build().unwrap());
    on_clusters(test);
}

fn on_clusters(test: impl Fn(&dyn FunctionExecutor)) {
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    {
        let _worker = Here::threads(&server, 2);
        test(&cluster);
    }
    {
        let _worker = Process::processes(&server, 2);
        test(&cluster);
    }
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
    fn nine(executor: &(impl FunctionExecutor + ?Sized)) -> u64 {
        executor.call(SQUARE, 3).join().unwrap()
    }
    on_each(|executor| {
        assert_eq!(nine(executor), 9);
        let waited = wait([executor.call(SQUARE, 1)], ReturnWhen::AllCompleted, None);
        assert_eq!((waited.done.len(), waited.pending.len()), (1, 0));
    });
}

#[test]
fn a_result_that_cannot_be_read_says_so() {
    let _alarm = alarm();
    on_clusters(|executor| match executor.call(UNREADABLE, 1).join() {
        Err(JoinError::Call(error)) => {
            let text = error.to_string();
            assert!(text.contains("cannot decode the result"), "{text}");
            assert!(text.contains("it is unreadable"), "{text}");
        }
        other => unreachable!("{other:?}"),
    });
}

#[test]
fn a_function_that_is_not_registered_here_is_an_error_at_once() {
    const OTHER: as_completed::function::Function<(), ()> =
        as_completed::function::Function::new("other", |()| ());

    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    match worker::cluster(&server).call(OTHER, ()).join() {
        Err(JoinError::Call(error)) => {
            assert!(matches!(*error, CallError::Unknown { .. }));
        }
        other => unreachable!("{other:?}"),
    }
}
