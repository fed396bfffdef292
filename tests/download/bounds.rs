//! Bounds on connections, speed and memory, settings, and observers.

#[cfg(target_os = "linux")]
use super::child::{assert_passes, ignored_test};
use super::server::{Server, Then};
use super::*;
use crate::support::alarm;
use as_completed::Inline;
use as_completed::download::{DownloaderBuildError, Event, Keep};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

/// How many more descriptors this process may open, once it may open as many as the
/// system lets it. Both ends of a connection are here.
#[cfg(unix)]
fn spare_descriptors() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};

    /// What the other tests have open meanwhile.
    const OTHERS: u64 = 120;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // A system may let nobody have as many as it says.
    let _ = setrlimit(Resource::Nofile, limit);
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn spare_descriptors() -> usize {
    usize::MAX
}

#[test]
fn thousand_workers_share_one_host() {
    let _alarm = alarm();
    let workers = 1000.min(spare_descriptors() / 3);
    let folder = Folder::new();
    // All are there at the same time before anyone is answered.
    let together = Barrier::new(workers);
    let server = Server::start(move |exchange| {
        if exchange.on_connection == 0 {
            together.wait();
        }
        exchange.ok(b"flag")
    });
    let downloader = builder(&folder).max_in_flight(workers).build().unwrap();
    let pool = ThreadPool::new(workers);
    let jobs = (0..2 * workers).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let report = downloader.download_many(&pool, jobs, ()).unwrap();
    assert_ok(&report);
    assert_eq!(folder.names().len(), 2 * workers);
    assert_eq!(server.connections(), workers);
    drop(downloader);
    server.await_no_connection();
}

#[test]
fn one_host_has_no_more_in_flight_than_it_may() {
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
    let other = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).max_in_flight_per_host(2).build().unwrap();
    let jobs = (0..60).map(|n| {
        let url = if n % 3 == 0 { &other } else { &server }.url("/");
        Job::new(n, url, n.to_string())
    });
    let pool = ThreadPool::new(8);
    let report = downloader.download_many(&pool, jobs, ()).unwrap();
    assert_ok(&report);
    assert_eq!(report.total(), 60);
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[test]
fn rate_is_bounded_and_its_pauses_are_no_lack_of_speed() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(&vec![b'x'; 30_000]));
    // Three seconds at that rate, in each two of which a hundred times as much is
    // wanted.
    let (rate, over) = (10_000, Duration::from_secs(2));
    let patience = Patience::new();
    loop {
        let downloader = builder(&folder)
            .max_bytes_per_second(rate)
            .minimum_speed(100 * rate, over)
            .build()
            .unwrap();
        let report = download_one(&downloader, server.url("/"));
        if report.count(DownloadStatus::Ok) == 1 {
            assert!(report.elapsed() >= Duration::from_millis(2_800));
            return;
        }
        // Only where reads took so long, as on a machine that stands still, and not
        // the pauses, one of which may have been cut short by the failure.
        let kind = failure(&report);
        assert!(
            matches!(kind, DownloadErrorKind::TooSlow { .. }),
            "{kind:?}"
        );
        let paid = report.bytes().saturating_sub(rate / 8);
        let pauses = Duration::from_millis(paid * 1000 / rate);
        assert!(
            report.elapsed() >= over + pauses,
            "pauses count: {report:?}"
        );
        assert!(!patience.is_over(LONG), "reads are never fast enough");
    }
}

#[test]
fn rate_is_waited_for_no_longer_than_the_job_may_take() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(&[b'x'; 5000]));
    // All of them together would take 4000 seconds, and eight pieces 400.
    let downloader = builder(&folder)
        .max_bytes_per_second(10)
        .total_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let jobs = (0..8).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let pool = ThreadPool::new(8);
    let report = downloader.download_many(&pool, jobs, ()).unwrap();
    assert_eq!(report.count(DownloadStatus::Error), 8);
    assert!(report.elapsed() < LONG, "{report:?}");
}

#[test]
fn report_keeps_what_it_is_told_to() {
    let server = Server::start(|exchange| match exchange.number {
        1 => exchange.answer("404 Not Found", "", b""),
        _ => exchange.ok(b"flag"),
    });
    for (keep, entries) in [(Keep::All, 3), (Keep::Failures, 1), (Keep::Nothing, 0)] {
        let folder = Folder::new();
        let downloader = builder(&folder).keep(keep).build().unwrap();
        let before = server.requests();
        let jobs = (0..3).map(|n| Job::new(n, server.url("/"), n.to_string()));
        let report = downloader.download_many(&Inline, jobs, ()).unwrap();
        assert_eq!(report.total(), 3);
        let failed = report.count(DownloadStatus::NotFound);
        let expected = match keep {
            Keep::Failures => failed as usize,
            _ => entries,
        };
        assert_eq!(report.entries().len(), expected, "{keep:?} {before}");
    }
}

#[test]
fn observer_that_panics_harms_nobody() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder).build().unwrap();
    let observer = |event: &Event<'_, usize>| {
        let is_start = matches!(event, Event::Started { .. });
        assert!(is_start, "no time for this");
    };
    let jobs = (0..5).map(|n| Job::new(n, server.url("/"), n.to_string()));
    let pool = ThreadPool::new(2);
    let report = downloader.download_many(&pool, jobs, observer).unwrap();
    assert_ok(&report);
    assert_eq!(report.observer_panics(), 10);
    assert_eq!(folder.names().len(), 5);
}

#[test]
fn bytes_are_told_as_they_come() {
    let folder = Folder::new();
    let server = Server::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
        exchange.send(vec![b'x'; 200_000]);
        Then::KeepOpen
    });
    let sum = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sum);
    let observer = move |event: &Event<'_, usize>| {
        if let Event::Bytes {
            received,
            total,
            expected,
            ..
        } = event
        {
            let before = counter.fetch_add(*received as usize, Ordering::SeqCst);
            assert_eq!(*total, (before as u64) + received);
            assert_eq!(*expected, Some(200_000));
        }
    };
    let downloader = builder(&folder).build().unwrap();
    let jobs = [Job::new(0, server.url("/"), "file")];
    let report = downloader.download_many(&Inline, jobs, observer).unwrap();
    assert_ok(&report);
    assert_eq!(report.observer_panics(), 0);
    assert_eq!(sum.load(Ordering::SeqCst), 200_000);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let folder = Folder::new();
    let refused = |builder: DownloaderBuilder| builder.build().unwrap_err();
    assert!(matches!(
        refused(builder(&folder).max_in_flight(0)),
        DownloaderBuildError::Zero("max_in_flight")
    ));
    assert!(matches!(
        refused(builder(&folder).read_timeout(Duration::ZERO)),
        DownloaderBuildError::Zero("read_timeout")
    ));
    // Every download would be too slow.
    let error = refused(builder(&folder).minimum_speed(1, Duration::ZERO));
    assert_eq!(error.to_string(), "over of minimum_speed may not be 0");
    assert!(matches!(
        refused(builder(&folder).user_agent("two\nlines")),
        DownloaderBuildError::UserAgent
    ));
    assert!(matches!(
        refused(builder(&folder).header("Bad Name", "x")),
        DownloaderBuildError::Header(_)
    ));
    assert!(matches!(
        refused(builder(&folder).header("X-Bad", "two\r\nlines")),
        DownloaderBuildError::Header(_)
    ));
    assert!(matches!(
        refused(builder(&folder).header("range", "bytes=1-")),
        DownloaderBuildError::ReservedHeader(_)
    ));
    assert!(matches!(
        refused(builder(&folder).proxy(Proxy::Url("socks5://localhost".to_owned()))),
        DownloaderBuildError::Proxy(_)
    ));
    assert!(matches!(
        refused(builder(&folder).proxy(Proxy::Url("not a url".to_owned()))),
        DownloaderBuildError::Proxy(_)
    ));
    #[cfg(feature = "rustls")]
    assert!(matches!(
        refused(builder(&folder).root_certificates("no certificate")),
        DownloaderBuildError::RootCertificates(_)
    ));
}

#[test]
fn every_timeout_may_be_the_longest_there_is() {
    let folder = Folder::new();
    let server = Server::start(|exchange| exchange.ok(b"flag"));
    let downloader = builder(&folder)
        .connect_timeout(Duration::MAX)
        .read_timeout(Duration::MAX)
        .total_timeout(Duration::MAX)
        .minimum_speed(1, Duration::MAX)
        .look_up_ttl(Duration::MAX)
        .build()
        .unwrap();
    assert_ok(&download_one(&downloader, server.url("/")));
}

#[test]
fn total_timeout_bounds_the_wait_for_an_answer() {
    let folder = Folder::new();
    let server = Server::start(super::server::Exchange::stall);
    let downloader = builder(&folder).total_timeout(SHORT).build().unwrap();
    let report = download_one(&downloader, server.url("/"));
    assert!(matches!(
        failure(&report),
        DownloadErrorKind::Timeout(as_completed::download::TimeoutKind::Total)
    ));
}

/// What stands in `/proc/self` for this process.
#[cfg(target_os = "linux")]
fn counted(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}"))
        .unwrap()
        .count()
}

/// Bytes of memory that this process takes, without what the kernel may take
/// back.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// `cargo test --release --test it -- --ignored --nocapture million`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes minutes, and measures the whole process"]
fn million_jobs_take_no_more_memory_than_a_few() {
    let jobs: u64 = std::env::var("JOBS").map_or(1_000_000, |jobs| jobs.parse().unwrap());
    let folder = Folder::new();
    let server = Server::start(|exchange| match exchange.number % 100 {
        99 => exchange.answer("404 Not Found", "", b"no such flag"),
        _ => exchange.ok(&[b'x'; 2000]),
    });
    let downloader = builder(&folder)
        .remember_names(false)
        .keep(Keep::Nothing)
        .build()
        .unwrap();
    let (early, late) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (at_first, at_last) = (Arc::clone(&early), Arc::clone(&late));
    let observer = move |event: &Event<'_, u64>| {
        if let Event::Finished { entry, .. } = event {
            if entry.number() == jobs / 10 {
                at_first.store(resident() as usize, Ordering::SeqCst);
            } else if entry.number() == jobs - 1 {
                at_last.store(resident() as usize, Ordering::SeqCst);
            }
        }
    };
    let url = server.url("/");
    let all = (0..jobs).map(|n| Job::new(n, url.clone(), format!("{}", n % 1000)));
    let pool = ThreadPool::new(16);
    let report = downloader.download_many(&pool, all, observer).unwrap();
    assert_eq!(report.total(), jobs);
    assert_eq!(report.count(DownloadStatus::Error), 0);
    let (early, late) = (early.load(Ordering::SeqCst), late.load(Ordering::SeqCst));
    eprintln!("{report:?}: {early} bytes after a tenth, {late} at the end");
    assert!(late < early + 8 * 1024 * 1024);
}

/// Run by [`faults_leave_no_thread_and_no_descriptor`] in a process of its own.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "counts what the whole process has open"]
fn faults_in_a_process_of_their_own() {
    use super::server::Exchange;

    let once = || {
        let folder = Folder::new();
        let server = Server::start(|exchange: &mut Exchange| match exchange.number % 6 {
            0 => exchange.stall(),
            1 => Then::Reset,
            2 => Then::Close,
            3 => {
                exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                exchange.stall()
            }
            4 => exchange.answer("503 Busy", "", b""),
            _ => exchange.ok(b"flag"),
        });
        let downloader = builder(&folder)
            .read_timeout(SHORT / 3)
            .retry(RetryPolicy::default().delay(SHORT / 100, SHORT / 100))
            .build()
            .unwrap();
        let url = format!("http://localhost:{}/", server.address().port());
        let jobs = (0..30).map(|n| Job::new(n, url.clone(), n.to_string()));
        let report = download(&downloader, jobs);
        assert_eq!(report.total(), 30);
    };
    once();
    let before = (counted("fd"), counted("task"));
    once();
    once();
    let deadline = Instant::now() + LONG;
    loop {
        // Threads that have ended take a moment to be gone.
        let after = (counted("fd"), counted("task"));
        if after.0 <= before.0 && after.1 <= before.1 {
            break;
        }
        assert!(Instant::now() < deadline, "{before:?} became {after:?}");
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn faults_leave_no_thread_and_no_descriptor() {
    assert_passes(ignored_test("bounds::faults_in_a_process_of_their_own"));
}
