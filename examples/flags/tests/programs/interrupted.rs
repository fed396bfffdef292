//! Ctrl-C: what was done is reported, and nothing is left half done.

use super::{Ended, Folder, Running, SEQUENTIAL, THREADPOOL, slow, start_server};
use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdout, Command, Output, Stdio};
use std::time::Duration;

/// Starts a run whose output is read by the caller.
fn start(folder: &Folder, program: &str, arguments: &[&str]) -> (Running, BufReader<ChildStdout>) {
    let mut command = folder.command(program, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().expect("the example starts"));
    let out = running.0.stdout.take().expect("the output is piped");
    (running, BufReader::new(out))
}

/// Does what Ctrl-C does in a terminal, and returns what comes after it.
fn interrupt(mut running: Running, mut out: impl Read) -> Ended {
    let mut kill = Command::new("kill");
    let sent = kill.args(["-INT", &running.0.id().to_string()]).status();
    assert!(sent.expect("there is a kill command").success());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut err = running.0.stderr.take().expect("the errors are piped");
    out.read_to_end(&mut stdout)
        .expect("the output can be read");
    err.read_to_end(&mut stderr)
        .expect("the errors can be read");
    Ended::new(&Output {
        status: running.0.wait().expect("the example ends"),
        stdout,
        stderr,
    })
}

/// Checks the report of an interrupted run, and returns its flags.
fn assert_reported(ended: &Ended, folder: &Folder) -> usize {
    assert_eq!(
        (ended.err.as_str(), ended.code),
        ("interrupted\n", Some(130))
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
    for program in [THREADPOOL, SEQUENTIAL] {
        let folder = Folder::new();
        // Slow enough for the signal to come before the end, on a loaded machine too.
        let slowly = ["-s", "DELAY", "--delay", "0.5", "-a", "-v", "-m", "2"];
        let (running, mut out) = start(&folder, program, &slowly);
        let mut lines = String::new();
        while !lines.ends_with("OK\n") {
            assert_ne!(out.read_line(&mut lines).unwrap(), 0, "{lines}");
        }
        let flags = assert_reported(&interrupt(running, out), &folder);
        assert!((1..194).contains(&flags), "{flags}");
    }
}

#[test]
fn waiting_for_an_answer_it_stops_all_the_same() {
    let server = start_server(slow(Duration::from_secs(60 * 60)));
    for program in [THREADPOOL, SEQUENTIAL] {
        let (folder, before) = (Folder::new(), server.requests());
        let (running, out) = start(&folder, program, &["-a", "--base-url", &server.url()]);
        while server.requests() == before {
            std::thread::yield_now();
        }
        assert_eq!(assert_reported(&interrupt(running, out), &folder), 0);
    }
}
