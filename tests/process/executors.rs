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

/// As [`on_each_of_one_worker`]; the test is also given what blocks until no worker runs
/// any more what was cancelled before it started.
pub(crate) fn on_each_that_cancels(test: impl Fn(&dyn FunctionExecutor, &dyn Fn())) {
    let _alarm = alarm();
    let at_once = |executor: Box<dyn FunctionExecutor>| test(&*executor, &|| ());
    at_once(Box::new(ThreadPool::new(1)));
    at_once(Box::new(pool(1)));
    #[cfg(feature = "cluster")]
    clusters::each_cluster(1, &|cluster| {
        test(&cluster, &|| clusters::wait_until_queued(&cluster, 1));
    });
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
    use crate::support::{PATIENCE, eventually};
    use crate::worker::builder;
    use as_completed::CancelToken;
    use as_completed::cluster::{Cluster, Worker, WorkerBuilder};
    use as_completed::function::FunctionExecutor;
    use std::thread;
    use std::time::Duration;

    /// So long that nobody counts as dead who only stands still for some seconds: calls
    /// would run twice.
    const LEASE: Duration = Duration::from_secs(10);

    /// A cluster whose worker has threads, and one whose worker has processes;
    /// none where there is no server.
    pub(super) fn each(workers: usize, test: &dyn Fn(Box<dyn FunctionExecutor>)) {
        each_cluster(workers, &|cluster| test(Box::new(cluster)));
    }

    /// Blocks until the queue has only so many calls.
    pub(super) fn wait_until_queued(cluster: &Cluster, calls: u64) {
        eventually(|| cluster.status().is_ok_and(|status| status.calls == calls));
    }

    pub(super) fn each_cluster(workers: usize, test: &dyn Fn(Cluster)) {
        type Set = fn(WorkerBuilder, usize) -> WorkerBuilder;
        let on_threads: Set = |worker, workers| worker.threads(workers);
        let in_processes: Set = |worker, workers| worker.process_pool(builder(workers));
        let Some(server) = Server::start() else {
            return;
        };
        for (name, set) in [("threads", on_threads), ("processes", in_processes)] {
            println!("over a cluster, with {name}");
            let cluster = Cluster::builder(&server.url(), functions::all()).lease(LEASE);
            let cluster = cluster.connect_timeout(PATIENCE).connect().unwrap();
            let worker = Worker::builder(&server.url(), functions::all()).lease(LEASE);
            let worker = set(worker.connect_timeout(PATIENCE), workers);
            let worker = worker.build().unwrap();
            let token = &CancelToken::new();
            thread::scope(|scope| {
                // Asked to stop when the test fails, too.
                let _stop = Stop(token);
                scope.spawn(move || worker.run_until(token).unwrap());
                test(cluster);
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
