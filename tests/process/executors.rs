//! The executors that the suite of [`alike`](crate::alike) runs on.

use crate::support::alarm;
use crate::worker::pool;
use as_completed::function::FunctionExecutor;
use as_completed::{Inline, ThreadPool};

/// Runs the test on each executor, with two workers where it has any.
pub(crate) fn on_each(test: impl Fn(&dyn FunctionExecutor)) {
    each(2, |executor| test(&*executor));
}

/// As [`on_each`], for what `Inline` cannot show, whose calls have run when they
/// are returned.
pub(crate) fn on_each_of_one_worker(test: impl Fn(&dyn FunctionExecutor)) {
    let _alarm = alarm();
    each_of_workers(1, &|executor| test(&*executor));
}

/// As [`on_each`], for what only happens between processes.
pub(crate) fn on_each_elsewhere(test: impl Fn(&dyn FunctionExecutor)) {
    let _alarm = alarm();
    each_elsewhere(2, &|executor| test(&*executor));
}

/// Gives each executor away.
pub(crate) fn each(workers: usize, test: impl Fn(Box<dyn FunctionExecutor>)) {
    let _alarm = alarm();
    println!("on the caller's thread");
    test(Box::new(Inline));
    each_of_workers(workers, &test);
}

/// As [`each`], without the cluster, whose callbacks must not block.
pub(crate) fn each_here(workers: usize, test: impl Fn(Box<dyn FunctionExecutor>)) {
    let _alarm = alarm();
    test(Box::new(Inline));
    test(Box::new(ThreadPool::new(workers)));
    test(Box::new(pool(workers)));
}

fn each_of_workers(workers: usize, test: &dyn Fn(Box<dyn FunctionExecutor>)) {
    println!("on threads");
    test(Box::new(ThreadPool::new(workers)));
    each_elsewhere(workers, test);
}

fn each_elsewhere(workers: usize, test: &dyn Fn(Box<dyn FunctionExecutor>)) {
    println!("in processes");
    test(Box::new(pool(workers)));
    #[cfg(feature = "cluster")]
    clusters::each(workers, test);
}

#[cfg(feature = "cluster")]
mod clusters {
    use crate::functions;
    use crate::server::Server;
    use crate::worker::builder;
    use as_completed::CancelToken;
    use as_completed::cluster::{Cluster, Worker, WorkerBuilder};
    use as_completed::function::FunctionExecutor;
    use std::thread;
    use std::time::Duration;

    /// Long enough for a machine with other work, short enough for a test.
    const LEASE: Duration = Duration::from_secs(2);

    /// A cluster whose worker has threads, and one whose worker has processes;
    /// none where there is no server.
    pub(super) fn each(workers: usize, test: &dyn Fn(Box<dyn FunctionExecutor>)) {
        type Set = fn(WorkerBuilder, usize) -> WorkerBuilder;
        let on_threads: Set = |worker, workers| worker.threads(workers);
        let in_processes: Set = |worker, workers| worker.process_pool(builder(workers));
        let Some(server) = Server::start() else {
            return;
        };
        for (name, set) in [("threads", on_threads), ("processes", in_processes)] {
            println!("over a cluster, with {name}");
            let cluster = Cluster::builder(&server.url(), functions::all()).lease(LEASE);
            let cluster = cluster.connect().unwrap();
            let worker = Worker::builder(&server.url(), functions::all()).lease(LEASE);
            let worker = set(worker, workers).build().unwrap();
            let token = &CancelToken::new();
            thread::scope(|scope| {
                // Asked to stop when the test fails, too.
                let _stop = Stop(token);
                scope.spawn(move || worker.run_until(token).unwrap());
                test(Box::new(cluster));
            });
        }
    }

    struct Stop<'a>(&'a CancelToken);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
}
