//! The run itself: every job that was read is accounted for, and told of in time,
//! whatever the executor, the list of jobs and the hosts do.

use super::server::{Exchange, Server, Then};
use super::*;
use crate::support::{Gate, alarm, eventually, expect_panics, occupy};
use as_completed::download::{Event, Observer};
use as_completed::{CancelToken, Executor, Rejected, RejectedTask, Task};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

/// What takes this long would take for ever.
const FOR_EVER: Duration = LONG;

fn job(server: &Server, n: usize) -> Job<usize> {
    Job::new(n, server.url(&format!("/{n}")), n.to_string())
}

/// Tells the numbers of the jobs that are over, in order.
fn telling_ends() -> (impl Observer<usize>, mpsc::Receiver<usize>) {
    let (tell, told) = mpsc::channel();
    let observer = move |event: &Event<'_, usize>| {
        if let Event::Finished { key, .. } = event {
            let _ = tell.send(**key);
        }
    };
    (observer, told)
}

/// Does with each task what it is told to, by the task's number.
struct Treats<F>(ThreadPool, AtomicUsize, F);

/// What becomes of a task.
enum Fate {
    Runs,
    IsLost,
    IsRefused(Rejected),
}

impl<F: Fn(usize) -> Fate + Send + Sync> Executor for Treats<F> {
    fn execute(&self, task: Task) -> Result<(), RejectedTask> {
        match (self.2)(self.1.fetch_add(1, Ordering::SeqCst)) {
            Fate::Runs => self.0.execute(task),
            Fate::IsLost => {
                drop(task);
                Ok(())
            }
            Fate::IsRefused(reason) => Err(RejectedTask::new(task, reason)),
        }
    }
}

#[test]
fn task_that_the_executor_loses_is_one_failure_of_many_jobs() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let fate = |number| match number % 10 {
        3 => Fate::IsLost,
        _ => Fate::Runs,
    };
    let executor = Treats(ThreadPool::new(2), AtomicUsize::new(0), fate);
    let downloader = builder(&folder).build().unwrap();
    let jobs = (0..100).map(|n| job(&server, n));
    let report = downloader.download_many(&executor, jobs, ()).unwrap();
    assert_eq!(report.total(), 100);
    assert_eq!(report.count(DownloadStatus::Ok), 90);
    assert_eq!(report.count(DownloadStatus::Error), 10);
    assert!(report.is_complete());
    assert_eq!(report.exit_code(), 1);
    assert_eq!(folder.names().len(), 90);
}

#[test]
fn executor_that_stops_ends_the_run_which_says_that_it_is_not_complete() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let fate = |number| match number {
        0..10 => Fate::Runs,
        _ => Fate::IsRefused(Rejected::ShutDown),
    };
    let executor = Treats(ThreadPool::new(2), AtomicUsize::new(0), fate);
    let downloader = builder(&folder).build().unwrap();
    let endless = (0..).map(|n| job(&server, n));
    let report = downloader.download_many(&executor, endless, ()).unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 10);
    let refused = report.entries().iter().filter_map(|entry| entry.error());
    for error in refused {
        assert_eq!(
            error.to_string(),
            "job was not run: cannot schedule new tasks after shutdown"
        );
    }
    assert!(report.total() > 10);
    assert!(!report.is_complete());
    assert!(!report.is_cancelled());
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn jobs_that_wait_for_their_host_are_counted_where_the_executor_stops() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let downloader = builder(&folder).max_in_flight_per_host(1).build().unwrap();
    let read = AtomicUsize::new(0);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            eventually(|| read.load(Ordering::SeqCst) == 7);
            // First, so that the next job does not get in between.
            pool.shutdown();
            pool.cancel_pending();
            busy.open();
        });
        let jobs = (0..7).map(|n| {
            read.fetch_add(1, Ordering::SeqCst);
            job(&server, n)
        });
        downloader.download_many(&pool, jobs, ()).unwrap()
    });
    assert_eq!(report.total(), 7);
    assert_eq!(report.count(DownloadStatus::Ok), 0);
    assert_ne!(report.exit_code(), 0);
}

#[test]
fn files_missing_because_another_part_of_the_program_cancelled_are_no_success() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let downloader = builder(&folder).build().unwrap();
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            eventually(|| pool.queued_count() == 5);
            pool.cancel_pending();
            busy.open();
        });
        let jobs = (0..5).map(|n| job(&server, n));
        downloader.download_many(&pool, jobs, ()).unwrap()
    });
    assert_eq!(report.count(DownloadStatus::Cancelled), 5);
    assert!(!report.is_cancelled(), "the run itself was not");
    assert_ne!(report.exit_code(), 0);
}

#[test]
fn list_that_ends_because_of_the_cancel_is_not_at_its_end() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let token = CancelToken::new();
    let downloader = builder(&folder)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let (observer, told) = telling_ends();
    let mut numbers = 0..2;
    let jobs = std::iter::from_fn(|| {
        let number = numbers.next().or_else(|| {
            // As a list does that is typed: the first two are there, and then Ctrl-C.
            told.recv_timeout(FOR_EVER).ok()?;
            told.recv_timeout(FOR_EVER).ok()?;
            token.cancel();
            None
        });
        number.map(|n| job(&server, n))
    });
    let pool = ThreadPool::new(2);
    let report = downloader.download_many(&pool, jobs, observer).unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 2);
    assert!(report.is_cancelled());
    assert!(!report.is_complete());
    assert_eq!(report.exit_code(), 130);
}

#[test]
fn finished_file_is_told_while_the_list_is_waited_for() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.path.as_str() {
        "/1" => exchange.answer("404 Not Found", "", b""),
        _ => exchange.ok(b"flag"),
    });
    let downloader = builder(&folder).build().unwrap();
    let (observer, told) = telling_ends();
    let (list, jobs) = mpsc::channel();
    let pool = ThreadPool::new(2);
    let report = thread::scope(|scope| {
        let run = scope.spawn(|| downloader.download_many(&pool, jobs, observer).unwrap());
        for n in 0..3 {
            list.send(job(&server, n)).unwrap();
            assert_eq!(told.recv_timeout(FOR_EVER), Ok(n));
        }
        drop(list);
        run.join().unwrap()
    });
    assert_eq!(report.total(), 3);
    assert!(report.is_complete());
}

#[test]
fn task_lost_while_the_list_is_waited_for_is_told() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let pool = ThreadPool::new(1);
    let busy = occupy(&pool, 1);
    let downloader = builder(&folder).build().unwrap();
    let (observer, told) = telling_ends();
    let (list, jobs) = mpsc::channel();
    thread::scope(|scope| {
        let run = scope.spawn(|| downloader.download_many(&pool, jobs, observer).unwrap());
        list.send(job(&server, 0)).unwrap();
        eventually(|| pool.queued_count() == 1);
        pool.cancel_pending();
        assert_eq!(told.recv_timeout(FOR_EVER), Ok(0));
        drop(list);
        let report = run.join().unwrap();
        assert_eq!(report.count(DownloadStatus::Cancelled), 1);
        busy.open();
    });
}

#[test]
fn failed_attempt_is_retried_while_the_list_is_waited_for() {
    let _alarm = alarm();
    for workers in [1, 4] {
        let folder = Folder::new();
        let server = Server::start(|exchange| match exchange.number {
            0 => exchange.answer("503 Busy", "", b""),
            1 => exchange.answer("503 Busy", "Retry-After: 1\r\n", b""),
            _ => exchange.ok(b"flag"),
        });
        let policy = RetryPolicy::default().delay(SHORT / 10, SHORT);
        let downloader = builder(&folder).retry(policy).build().unwrap();
        let (observer, told) = telling_ends();
        let (list, jobs) = mpsc::channel();
        let pool = ThreadPool::new(workers);
        thread::scope(|scope| {
            let run = scope.spawn(|| downloader.download_many(&pool, jobs, observer).unwrap());
            for n in 0..2 {
                list.send(job(&server, n)).unwrap();
                assert_eq!(told.recv_timeout(FOR_EVER), Ok(n));
            }
            drop(list);
            let report = run.join().unwrap();
            assert_eq!(report.count(DownloadStatus::Ok), 2);
            assert_eq!(report.retries(), 2);
        });
    }
}

#[test]
fn job_held_back_for_its_host_starts_while_the_list_is_waited_for() {
    let _alarm = alarm();
    let folder = Folder::new();
    let gate = Gate::new();
    let turnstile = gate.turnstile();
    let server = Server::start(move |exchange| {
        turnstile.pass();
        exchange.ok(b"flag")
    });
    let downloader = builder(&folder).max_in_flight_per_host(1).build().unwrap();
    let (observer, told) = telling_ends();
    let (list, jobs) = mpsc::channel();
    let pool = ThreadPool::new(2);
    thread::scope(|scope| {
        let run = scope.spawn(|| downloader.download_many(&pool, jobs, observer).unwrap());
        for n in 0..3 {
            list.send(job(&server, n)).unwrap();
        }
        eventually(|| server.requests() == 1);
        gate.open();
        // One may be told after the next, which starts when it is over.
        let mut told: Vec<_> = (0..3)
            .map(|_| told.recv_timeout(FOR_EVER).unwrap())
            .collect();
        told.sort_unstable();
        assert_eq!(told, [0, 1, 2]);
        drop(list);
        assert_ok(&run.join().unwrap());
    });
}

#[test]
fn list_that_panics_leaves_no_download_behind() {
    let _alarm = alarm();
    expect_panics();
    let folder = Folder::new();
    let server = Server::start(Exchange::stall);
    let downloader = builder(&folder)
        .read_timeout(LONG * 10)
        .retry(RetryPolicy::default().delay(LONG, LONG))
        .build()
        .unwrap();
    let pool = ThreadPool::new(2);
    let jobs = (0..5).map(|n| {
        if n == 4 {
            eventually(|| server.requests() == 2);
            panic!("on purpose: the list");
        }
        job(&server, n)
    });
    let began = Instant::now();
    let run = AssertUnwindSafe(|| downloader.download_many(&pool, jobs, ()));
    let panic = catch_unwind(run).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose: the list"));
    assert!(began.elapsed() < FOR_EVER, "{:?}", began.elapsed());
    assert_eq!((pool.active_count(), pool.queued_count()), (0, 0));
    server.await_no_connection();
    assert!(folder.names().is_empty());
    // The downloader is none the worse for it.
    let other = Server::start(|exchange| exchange.ok(b"flag"));
    assert_ok(&download_one(&downloader, other.url("/")));
}

#[test]
fn key_that_panics_as_it_is_dropped_harms_nobody() {
    struct Key;
    impl Drop for Key {
        fn drop(&mut self) {
            panic!("on purpose: the key");
        }
    }

    let _alarm = alarm();
    expect_panics();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder)
        .keep(as_completed::download::Keep::Nothing)
        .build()
        .unwrap();
    let pool = ThreadPool::new(2);
    let jobs = (0..20).map(|n| {
        let url = if n % 4 == 0 {
            "none".to_owned()
        } else {
            server.url("/")
        };
        Job::new(Key, url, n.to_string())
    });
    let report = downloader.download_many(&pool, jobs, ()).unwrap();
    assert_eq!(report.count(DownloadStatus::Ok), 15);
    assert_eq!(report.count(DownloadStatus::Error), 5);
    // Its first error has a key as well, and this drop is our own.
    catch_unwind(AssertUnwindSafe(|| drop(report))).unwrap_err();
}

#[test]
fn cancel_is_heard_while_the_pool_has_no_room() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let token = CancelToken::new();
    let downloader = builder(&folder)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let pool = ThreadPool::builder()
        .max_workers(1)
        .queue_capacity(1)
        .build()
        .unwrap();
    let busy = occupy(&pool, 1);
    let other = pool.submit(|| ());
    let (read, was_read) = mpsc::channel();
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            let jobs = (0..3).map(|n| {
                read.send(()).unwrap();
                job(&server, n)
            });
            downloader.download_many(&pool, jobs, ()).unwrap()
        });
        was_read.recv_timeout(FOR_EVER).unwrap();
        token.cancel();
        eventually(|| run.is_finished());
        let report = run.join().unwrap();
        assert_eq!(report.count(DownloadStatus::Cancelled), 1);
        assert_eq!(report.total(), 1);
        assert!(report.is_cancelled());
    });
    busy.release();
    other.join().unwrap();
}

#[test]
fn pool_with_little_room_downloads_all() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).build().unwrap();
    let pool = ThreadPool::builder()
        .max_workers(2)
        .queue_capacity(1)
        .build()
        .unwrap();
    let jobs = (0..100).map(|n| job(&server, n));
    let report = downloader.download_many(&pool, jobs, ()).unwrap();
    assert_ok(&report);
    assert_eq!(report.total(), 100);
}

#[test]
fn host_that_wants_to_be_left_alone_holds_no_worker() {
    let _alarm = alarm();
    let busy = |exchange: &mut Exchange| exchange.answer("503 Busy", "Retry-After: 3600\r\n", b"");
    let hour = Duration::from_secs(3600);
    holds_no_worker(busy, &RetryPolicy::default().longest_retry_after(hour));
}

#[test]
fn job_that_waits_for_its_retry_holds_no_worker() {
    let _alarm = alarm();
    let busy = |exchange: &mut Exchange| exchange.answer("503 Busy", "", b"");
    let hour = Duration::from_secs(3600);
    holds_no_worker(busy, &RetryPolicy::default().delay(hour, hour));
}

/// Downloads from a server that fails and one that does not, on few workers:
/// the second's files arrive, and then the run is cancelled.
fn holds_no_worker(
    answer: impl Fn(&mut Exchange) -> Then + Send + Sync + Copy + 'static,
    policy: &RetryPolicy,
) {
    for workers in [1, 2] {
        let folder = Folder::new();
        let token = CancelToken::new();
        let downloader = builder(&folder)
            .retry(policy.clone())
            .total_timeout(Duration::MAX)
            .cancel_token(token.clone())
            .build()
            .unwrap();
        let (observer, told) = telling_ends();
        let server = Server::start(|exchange| exchange.ok(b"flag"));
        let pool = ThreadPool::new(workers);
        let failing = Server::start(answer);
        let jobs: Vec<_> = (0..20)
            .map(|n| job(if n < 10 { &failing } else { &server }, n))
            .collect();
        thread::scope(|scope| {
            let run = scope.spawn(|| downloader.download_many(&pool, jobs, observer).unwrap());
            let told: Vec<_> = (0..10).map(|_| told.recv_timeout(FOR_EVER)).collect();
            token.cancel();
            assert!(
                told.iter().all(|told| told.is_ok_and(|n| n >= 10)),
                "{told:?}"
            );
            let report = run.join().unwrap();
            assert_eq!(report.count(DownloadStatus::Ok), 10);
            assert_eq!(report.count(DownloadStatus::Cancelled), 10);
        });
    }
}

#[test]
fn job_whose_retry_would_come_too_late_fails_in_time() {
    let _alarm = alarm();
    let folder = Folder::new();
    let server =
        Server::start(|exchange| exchange.answer("503 Busy", "Retry-After: 3600\r\n", b""));
    let hour = Duration::from_secs(3600);
    let downloader = builder(&folder)
        .retry(RetryPolicy::default().longest_retry_after(hour))
        .total_timeout(SHORT * 3)
        .build()
        .unwrap();
    let jobs = (0..4).map(|n| job(&server, n));
    let report = download(&downloader, jobs);
    assert_eq!(report.count(DownloadStatus::Error), report.total());
    assert_eq!(report.total(), 4);
}

#[test]
fn one_host_is_one_however_it_is_written() {
    let folder = Folder::new();
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let server = Server::start(move |exchange| {
        let number = now.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(number, Ordering::SeqCst);
        let _ = exchange.pause(Duration::from_millis(2));
        now.fetch_sub(1, Ordering::SeqCst);
        exchange.ok(b"flag")
    });
    let port = server.address().port();
    let downloader = builder(&folder).max_in_flight_per_host(1).build().unwrap();
    let hosts = ["localhost", "LOCALHOST", "LocalHost"];
    let jobs = (0..40).map(|n| {
        let url = format!("http://{}:{port}/", hosts[n % hosts.len()]);
        Job::new(n, url, n.to_string())
    });
    let report = download(&downloader, jobs);
    assert_ok(&report);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}
