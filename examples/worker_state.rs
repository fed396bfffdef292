//! Each worker keeps a connection of its own, opened for its first task.

use as_completed::{ThreadPool, as_completed};
use std::error::Error;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

static OPENED: AtomicUsize = AtomicUsize::new(0);

/// A connection that stays on its thread, as those of many databases do.
struct Connection {
    table: Rc<[String]>,
    queries: usize,
}

impl Connection {
    fn open() -> Self {
        OPENED.fetch_add(1, Ordering::SeqCst);
        Self {
            table: (0..100).map(|id| format!("row {id}")).collect(),
            queries: 0,
        }
    }

    fn query(&mut self, id: usize) -> Option<String> {
        self.queries += 1;
        self.table.get(id).cloned()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = ThreadPool::builder()
        .max_workers(3)
        .build_with_state(|_worker| Ok(Connection::open()))?;
    let rows = (0..100).map(|id| (id, pool.submit(move |connection| connection.query(id))));
    for (id, row) in as_completed(rows) {
        assert_eq!(row.join()?, Some(format!("row {id}")));
    }
    let queries = pool.submit(|connection| connection.queries).join()?;
    let opened = OPENED.load(Ordering::SeqCst);
    println!("100 queries over {opened} connections, {queries} of them over one");
    assert!((1..=3).contains(&opened));
    Ok(())
}
