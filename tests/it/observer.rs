//! What the observer of a pool is told of each task.

use crate::support::{ON_PURPOSE, alarm, expect_panics, occupy};
use as_completed::{JoinHandle, TaskEvent, TaskId, ThreadPool, ThreadPoolBuilder, as_completed};
use std::sync::{Arc, OnceLock, Weak, mpsc};

/// A builder whose observer sends on all that it is told.
fn observed() -> (ThreadPoolBuilder, mpsc::Receiver<TaskEvent>) {
    let (sender, events) = mpsc::channel();
    let builder = ThreadPool::builder().observer(move |event| sender.send(*event).unwrap());
    (builder, events)
}

/// What the task was told to be, in one letter each.
fn story(events: &[TaskEvent], id: TaskId) -> String {
    let letter = |event: &TaskEvent| match event {
        TaskEvent::Queued { task, .. } if *task == id => Some('q'),
        TaskEvent::Started { task, .. } if *task == id => Some('s'),
        TaskEvent::Ended { task, .. } if *task == id => Some('e'),
        TaskEvent::Withdrawn { task, .. } if *task == id => Some('w'),
        _ => None,
    };
    events.iter().filter_map(letter).collect()
}

#[test]
fn a_task_is_queued_started_and_ended_before_its_handle_is_final() {
    let _alarm = alarm();
    expect_panics();
    let (builder, events) = observed();
    let pool = builder.max_workers(2).build().unwrap();
    let handles: Vec<JoinHandle<()>> = (0..50)
        .map(|n| {
            pool.submit(move || {
                assert!(n % 10 != 0, "{ON_PURPOSE}");
            })
        })
        .collect();
    let ids: Vec<_> = handles.iter().map(JoinHandle::id).collect();
    assert_eq!(as_completed(handles).count(), 50);
    let events: Vec<_> = events.try_iter().collect();
    for id in ids {
        assert_eq!(story(&events, id), "qse");
    }
    assert_eq!(events.len(), 150);
}

/// It runs outside of all locks, whatever it is told.
#[test]
fn an_observer_may_look_at_its_pool() {
    let _alarm = alarm();
    let own = Arc::new(OnceLock::<Weak<ThreadPool>>::new());
    let seen = Arc::clone(&own);
    let pool = ThreadPool::builder()
        .max_workers(1)
        .queue_capacity(4)
        .observer(move |_| {
            if let Some(pool) = seen.get().and_then(Weak::upgrade) {
                assert!(pool.queued_count() <= 4);
            }
        })
        .build()
        .unwrap();
    let pool = Arc::new(pool);
    own.set(Arc::downgrade(&pool)).unwrap();
    let inner = Arc::clone(&pool);
    let nested = pool.submit(move || inner.submit(|| 42).join().unwrap());
    assert_eq!(nested.join().unwrap(), 42);
    let busy = occupy(&*pool, 1);
    let queued: Vec<_> = (0..4).map(|_| pool.submit(|| ())).collect();
    assert!(pool.try_submit(|| ()).is_err());
    assert!(queued[0].cancel());
    drop(as_completed([&queued[1]]).cancel_on_drop());
    assert_eq!(pool.cancel_pending(), 2);
    let limited = pool.limit(1).submit(|| ());
    busy.release();
    limited.join().unwrap();
    pool.shutdown();
    assert!(pool.submit(|| ()).join().unwrap_err().is_rejected());
    assert!(pool.try_submit(|| ()).is_err());
    pool.join();
}

#[test]
fn a_task_that_never_runs_is_withdrawn_however_it_ends() {
    let _alarm = alarm();
    let (builder, events) = observed();
    let pool = builder.max_workers(1).build().unwrap();
    let busy = occupy(&pool, 1);
    let by_handle = pool.submit(|| ());
    let with_the_queue = pool.submit(|| ());
    let with_others = pool.submit(|| ());
    assert!(by_handle.cancel());
    drop(as_completed([&with_others]).cancel_on_drop());
    assert_eq!(pool.cancel_pending(), 1);
    busy.release();
    pool.shutdown();
    let refused = pool.submit(|| ());
    pool.join();
    let events: Vec<_> = events.try_iter().collect();
    for handle in [by_handle, with_the_queue, with_others] {
        assert!(handle.is_cancelled());
        assert_eq!(story(&events, handle.id()), "qw");
    }
    assert_eq!(story(&events, refused.id()), "qw");
}

#[test]
fn a_task_that_another_waits_for_is_told_of_once() {
    let _alarm = alarm();
    // The second has no stack to nest on, so that another thread stands in.
    for stack_size in [2 << 20, 1] {
        let (builder, events) = observed();
        let builder = builder.max_workers(1).stack_size(stack_size);
        let pool = Arc::new(builder.build().unwrap());
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || {
            let nested = inner.submit(|| ());
            let id = nested.id();
            nested.join().unwrap();
            id
        });
        let outer_id = outer.id();
        let nested_id = outer.join().unwrap();
        let events: Vec<_> = events.try_iter().collect();
        assert_eq!(story(&events, outer_id), "qse");
        assert_eq!(story(&events, nested_id), "qse");
    }
}

#[test]
fn a_task_that_a_worker_runs_because_the_queue_is_full_is_not_queued() {
    let _alarm = alarm();
    let (builder, events) = observed();
    let pool = builder.max_workers(1).queue_capacity(1).build().unwrap();
    let pool = Arc::new(pool);
    let inner = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let queued = inner.submit(|| ());
        let at_once = inner.submit(|| ());
        assert!(at_once.is_finished());
        (queued.id(), at_once.id())
    });
    let (queued, at_once) = outer.join().unwrap();
    pool.join();
    let events: Vec<_> = events.try_iter().collect();
    assert_eq!(story(&events, queued), "qse");
    assert_eq!(story(&events, at_once), "se");
}

#[test]
fn a_task_that_waits_for_a_limit_is_withdrawn_when_it_is_cancelled() {
    let _alarm = alarm();
    // A bounded queue takes back the place of a task before the limit parks it.
    for capacity in [usize::MAX, 100] {
        let (builder, events) = observed();
        let builder = builder.max_workers(2).queue_capacity(capacity);
        let pool = builder.build().unwrap();
        let limited = pool.limit(1);
        let busy = occupy(&limited, 1);
        let by_handle = [limited.submit(|| ()), limited.submit(|| ())];
        let with_the_pool = limited.submit(|| ());
        // The other worker has parked them.
        pool.submit(|| ()).join().unwrap();
        assert_eq!(pool.queued_count(), 0);
        for handle in &by_handle {
            assert!(handle.cancel());
        }
        assert_eq!(pool.cancel_pending(), 1);
        let runs = limited.submit(|| ());
        pool.submit(|| ()).join().unwrap();
        busy.release();
        pool.join();
        let events: Vec<_> = events.try_iter().collect();
        for handle in by_handle.iter().chain([&with_the_pool]) {
            assert_eq!(story(&events, handle.id()), "qw");
        }
        assert_eq!(story(&events, runs.id()), "qse");
    }
}

#[test]
fn an_observer_that_panics_harms_nobody() {
    let _alarm = alarm();
    expect_panics();
    let pool = ThreadPool::builder()
        .observer(|_| panic!("{ON_PURPOSE}"))
        .build()
        .unwrap();
    assert_eq!(pool.submit(|| 4).join().unwrap(), 4);
}

/// A subscriber that knows which span is current on each thread, and no more.
#[cfg(feature = "tracing")]
mod spans {
    use as_completed::ThreadPool;
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};
    use tracing_core::span::Current;

    thread_local! {
        static ENTERED: RefCell<Vec<(u64, &'static Metadata<'static>)>> = RefCell::default();
    }

    #[derive(Default)]
    struct Spans {
        next: AtomicU64,
        all: std::sync::Mutex<std::collections::HashMap<u64, &'static Metadata<'static>>>,
    }

    impl Subscriber for Spans {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let id = self.next.fetch_add(1, Ordering::SeqCst) + 1;
            self.all.lock().unwrap().insert(id, span.metadata());
            Id::from_u64(id)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}

        fn enter(&self, span: &Id) {
            let metadata = self.all.lock().unwrap()[&span.into_u64()];
            ENTERED.with_borrow_mut(|entered| entered.push((span.into_u64(), metadata)));
        }

        fn exit(&self, span: &Id) {
            ENTERED.with_borrow_mut(|entered| {
                let place = entered.iter().rposition(|(id, _)| *id == span.into_u64());
                entered.remove(place.unwrap());
            });
        }

        fn current_span(&self) -> Current {
            ENTERED.with_borrow(|entered| match entered.last() {
                Some((id, metadata)) => Current::new(Id::from_u64(*id), metadata),
                None => Current::none(),
            })
        }
    }

    fn current() -> Option<&'static str> {
        tracing::Span::current().metadata().map(Metadata::name)
    }

    #[test]
    fn a_task_runs_in_the_span_of_its_submitter() {
        let _alarm = crate::support::alarm();
        // For all threads, and for all tests: there can be one only.
        tracing::subscriber::set_global_default(Spans::default()).unwrap();
        let pool = ThreadPool::builder()
            .max_workers(1)
            .carry_spans()
            .build()
            .unwrap();
        let plain = ThreadPool::builder().max_workers(1).build().unwrap();
        let (in_span, without) = {
            let _request = tracing::info_span!("request").entered();
            (pool.submit(current), plain.submit(current))
        };
        let outside = pool.submit(current);
        assert_eq!(in_span.join().unwrap(), Some("request"));
        assert_eq!(without.join().unwrap(), None);
        assert_eq!(outside.join().unwrap(), None);
        // A task within a task is in the span of the outer one.
        let pool = std::sync::Arc::new(pool);
        let inner = std::sync::Arc::clone(&pool);
        let nested = {
            let _request = tracing::info_span!("outer").entered();
            pool.submit(move || inner.submit(current).join().unwrap())
        };
        assert_eq!(nested.join().unwrap(), Some("outer"));
    }
}
