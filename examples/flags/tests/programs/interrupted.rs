//! Ctrl-C, and a request to end: what was done is reported, and nothing is left half done.

use super::support::{Ended, Folder, finish, send};
use super::{Running, SEQUENTIAL, THREADPOOL, slow, start_server};
use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

/// Starts a run whose output is read by the caller.
fn start(folder: &Folder, program: &str, arguments: &[&str]) -> (Running, BufReader<ChildStdout>) {
    let mut command = folder.command(program, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().expect("the example starts"));
    let out = running.0.stdout.take().expect("the output is piped");
    (running, BufReader::new(out))
}

/// Sends the signal, which for Ctrl-C is `-INT`, and returns what comes after it.
fn interrupt(signal: &str, mut running: Running, out: impl Read) -> Ended {
    send(signal, &running.0);
    finish(&mut running.0, out)
}

/// Checks the report of an interrupted run, and returns its flags.
fn assert_reported(ended: &Ended, code: i32, folder: &Folder) -> usize {
    assert_eq!(
        (ended.err.as_str(), ended.code),
        ("interrupted\n", Some(code))
    );
    let report = ended.out.split("--------------------\n").nth(1);
    assert!(report.is_some_and(|report| report.contains(" downloaded.\nElapsed time: ")));
    let flags = folder.downloaded();
    for (name, bytes) in &flags {
        assert!(
            name.len() == "CC.gif".len() && bytes.ends_with(b";"),
            "{name} is partial"
        );
    }
    assert_eq!(
        ended.count(" flags downloaded") + ended.count(" flag downloaded"),
        flags.len()
    );
    flags.len()
}

#[test]
fn half_way_it_reports_what_was_done() {
    for (program, signal, code) in [
        (THREADPOOL, "-INT", 130),
        (SEQUENTIAL, "-INT", 130),
        (THREADPOOL, "-TERM", 143),
    ] {
        let folder = Folder::new();
        // Slow enough for the signal to come before the end, on a loaded machine too.
        let slowly = ["-s", "DELAY", "--delay", "1", "-a", "-v", "-m", "2"];
        let (running, mut out) = start(&folder, program, &slowly);
        let mut lines = String::new();
        while !lines.ends_with("OK\n") {
            assert_ne!(out.read_line(&mut lines).unwrap(), 0, "{lines}");
        }
        let flags = assert_reported(&interrupt(signal, running, out), code, &folder);
        assert!((1..194).contains(&flags), "{flags}");
    }
}

#[test]
fn waiting_for_an_answer_it_stops_all_the_same() {
    for program in [THREADPOOL, SEQUENTIAL] {
        // Its own, lest a late request of the other program be taken for one of this.
        let server = start_server(slow(Duration::from_secs(60 * 60)));
        let folder = Folder::new();
        let (running, out) = start(&folder, program, &["-a", "--base-url", &server.url()]);
        while server.requests() == 0 {
            std::thread::yield_now();
        }
        let ended = interrupt("-INT", running, out);
        assert_eq!(assert_reported(&ended, 130, &folder), 0);
    }
}
