//! The spans of calls, in the processes that run them.

use crate::functions;
use crate::server::Server;
use crate::support::alarm;
use crate::worker::{self, PROCESSES, Process};
use as_completed::ThreadPool;
use as_completed::function::{Function, FunctionExecutorExt as _};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

/// Returns what its process knows of the span it runs in: the fields, as text, the
/// name as `name`, and the events so far as `events`.
pub(crate) const SPAN: Function<(), BTreeMap<String, String>> = Function::new("span", |()| {
    let id = ENTERED.with_borrow(|entered| entered.last().map(|(id, _)| *id));
    let fields = id.and_then(|id| FIELDS.lock().unwrap().get(&id).cloned());
    fields.unwrap_or_default()
});

type Entered = Vec<(u64, &'static Metadata<'static>)>;

thread_local! {
    static ENTERED: RefCell<Entered> = RefCell::default();
}

static FIELDS: Mutex<BTreeMap<u64, BTreeMap<String, String>>> = Mutex::new(BTreeMap::new());
static METADATA: Mutex<BTreeMap<u64, &'static Metadata<'static>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

struct Text<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// Keeps the fields of each span, and the events in it.
struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "as_completed" || metadata.target() == module_path!()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        // Ids of two processes differ.
        let id = NEXT.fetch_add(1, Ordering::SeqCst) + (u64::from(std::process::id()) << 32);
        let mut fields = BTreeMap::new();
        span.record(&mut Text(&mut fields));
        fields.insert("name".to_owned(), span.metadata().name().to_owned());
        FIELDS.lock().unwrap().insert(id, fields);
        METADATA.lock().unwrap().insert(id, span.metadata());
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(id) = ENTERED.with_borrow(|entered| entered.last().map(|(id, _)| *id)) else {
            return;
        };
        let mut message = BTreeMap::new();
        event.record(&mut Text(&mut message));
        let mut fields = FIELDS.lock().unwrap();
        let events = fields.entry(id).or_default().entry("events".to_owned());
        let events = events.or_default();
        events.push_str(&message["message"]);
        events.push(',');
    }

    fn enter(&self, span: &Id) {
        let metadata = METADATA.lock().unwrap()[&span.into_u64()];
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

/// Records the spans of this process from now on.
pub(crate) fn record() {
    // Another test may have done it.
    let _ = tracing::subscriber::set_global_default(Recorder);
}

/// A span of a submitter, and its id as text.
fn request() -> (tracing::span::EnteredSpan, String) {
    record();
    let span = tracing::info_span!("request").entered();
    let id = span.id().unwrap().into_u64().to_string();
    (span, id)
}

#[test]
fn a_worker_runs_a_call_in_a_span_that_names_its_submitter() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let _worker = Process::threads(&server, 1);
    let call = {
        let (_request, id) = request();
        (id, cluster.call(SPAN, ()))
    };
    let (id, span) = (call.0, call.1.join().unwrap());
    assert_eq!(span["name"], "call");
    assert_eq!(span["function"], "\"span\"");
    assert_eq!(span["caller.span"], "\"request\"");
    assert_eq!(span["caller.id"], id);
    assert_eq!(span["number"], "0");
    assert!(span["submitter"].len() > 2, "{span:?}");
    assert_eq!(span["events"], "started,");
    // Outside of any span.
    let span = cluster.call(SPAN, ()).join().unwrap();
    assert_eq!(span["number"], "1");
    assert!(!span.contains_key("caller.id"), "{span:?}");
}

#[test]
fn a_child_of_a_worker_runs_a_call_in_a_span_that_came_from_the_worker() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let worker = Process::with(&server, 1, &[(PROCESSES, "1")]);
    let span = cluster.call(SPAN, ()).join().unwrap();
    assert_eq!(span["name"], "call");
    assert_eq!(span["caller.span"], "\"call\"");
    let of_process = span["caller.id"].parse::<u64>().unwrap() >> 32;
    assert_eq!(of_process, u64::from(worker.0.id()));
}

#[test]
fn a_child_process_runs_a_call_in_a_span_that_names_its_caller() {
    let _alarm = alarm();
    functions::all().init();
    let pool = worker::pool_builder(1).build().unwrap();
    let (request, id) = request();
    let call = pool.call(SPAN, ());
    let chunk = pool.call_map(SPAN, [(), ()]).chunk_size(2);
    drop(request);
    let chunk: Result<Vec<_>, _> = chunk.collect();
    for span in [vec![call.join().unwrap()], chunk.unwrap()].concat() {
        assert_eq!(span["name"], "call");
        assert_eq!(span["caller.span"], "\"request\"");
        assert_eq!(span["caller.id"], id);
        assert_eq!(span["events"], "started,");
    }
    // A call outside of any span.
    assert!(
        !pool
            .call(SPAN, ())
            .join()
            .unwrap()
            .contains_key("caller.id")
    );
}

#[test]
fn an_executor_of_this_process_opens_no_span() {
    let _alarm = alarm();
    record();
    let pool = ThreadPool::new(1);
    assert!(pool.call(SPAN, ()).join().unwrap().is_empty());
}

#[test]
fn a_call_that_has_ended_has_an_event_that_says_so() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let cluster = worker::cluster(&server);
    let mut worker = worker::Here::threads(&server, 1);
    record();
    let span = cluster.call(SPAN, ()).join().unwrap();
    worker.stop();
    let spans = FIELDS.lock().unwrap();
    let mut ended = spans.values();
    assert!(ended.any(|fields| {
        fields.get("submitter") == span.get("submitter")
            && fields.get("events").is_some_and(|e| e == "started,ended,")
    }));
}
