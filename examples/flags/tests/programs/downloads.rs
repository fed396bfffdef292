//! Whole runs: every flag arrives, or is named as failed.

use super::support::Folder;
use super::{SEQUENTIAL, THREADPOOL, real_flags, slow, start_server, start_server_program};
use flags::server::Manner;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const COUNTRIES: usize = 194;
const POSSIBLE_CODES: usize = 26 * 26;

#[test]
fn built_in_flags_of_all_countries_are_pictures_of_their_own() {
    let folder = Folder::new();
    let ended = folder.run(THREADPOOL, ["-a"]);
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    let flags = folder.downloaded();
    assert_eq!(flags.len(), COUNTRIES);
    for (name, bytes) in &flags {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut picture = options.read_info(bytes.as_slice()).unwrap();
        let frame = picture.read_next_frame().unwrap().unwrap();
        assert_eq!((frame.width, frame.height), (72, 72), "{name}");
        let seen = frame.buffer.chunks(4).filter(|dot| dot[3] > 0);
        assert!(seen.count() > 72 * 72 / 5, "{name}");
    }
    // Norway's is Bouvet's, and so on, but not among these.
    let different: BTreeSet<_> = flags.iter().map(|(_, bytes)| bytes).collect();
    assert!(different.len() > COUNTRIES - 5, "{}", different.len());
}

#[test]
fn flags_of_a_folder_arrive_byte_for_byte() {
    let (folder, made) = (Folder::new(), Folder::new());
    let root = real_flags().unwrap_or_else(|| folder_of_built_in_flags(&made));
    let (_server, url) = start_server_program(&folder, &[OsStr::new("--root"), root.as_os_str()]);
    let ended = folder.run(THREADPOOL, ["--all", "--base-url", &url]);
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    assert_eq!(ended.count(" flags downloaded"), COUNTRIES);
    let flags = folder.downloaded();
    assert_eq!(flags.len(), COUNTRIES);
    for (name, bytes) in flags {
        let code = name.strip_suffix(".gif").unwrap().to_lowercase();
        let file = root.join(&code).join(format!("{code}.gif"));
        assert!(bytes == fs::read(file).unwrap(), "{name} differs");
    }
}

/// Stands in for the real flags, laid out as they are.
fn folder_of_built_in_flags(folder: &Folder) -> PathBuf {
    let _all_there = folder.run(THREADPOOL, ["-a"]);
    for (name, bytes) in folder.downloaded() {
        let name = name.to_lowercase();
        let inner = folder
            .0
            .join(name.strip_suffix(".gif").expect("all are GIFs"));
        fs::create_dir(&inner).expect("the folder is writable");
        fs::write(inner.join(name), bytes).expect("the folder is writable");
    }
    folder.0.clone()
}

#[test]
fn every_code_is_accounted_for_on_an_unreliable_server() {
    let folder = Folder::new();
    let ended = folder.run(THREADPOOL, ["-s", "ERROR", "-e", "--delay", "0..0.002"]);
    let flags = ended.count(" flags downloaded");
    let failures = ended.count(" not found") + ended.count(" errors");
    assert_eq!(flags + failures, POSSIBLE_CODES, "{}", ended.out);
    assert_eq!(folder.downloaded().len(), flags);
    assert!(ended.count(" errors") > 0 && ended.count(" not found") > 0 && flags > 0);

    let named: BTreeSet<_> = ended.err.lines().map(|line| &line[..3]).collect();
    assert_eq!(
        (named.len(), ended.err.lines().count()),
        (ended.count(" errors"), ended.count(" errors"))
    );
    // What is merely not found is counted.
    let told = |line: &str| &line[3..] == "error: HTTP error 418 - I'm a teapot";
    assert!(ended.err.lines().all(told), "{}", ended.err);
    assert_eq!(ended.code, Some(1));
}

#[test]
fn every_flag_arrives_from_an_unreliable_server_when_asked_again() {
    let folder = Folder::new();
    let unreliable = ["-s", "ERROR", "--delay", "0..0.002", "--retries", "40"];
    let ended = folder.run(THREADPOOL, unreliable);
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
    assert_eq!(folder.downloaded().len(), 20);
}

#[test]
fn lines_stay_whole_when_many_flags_arrive_at_once() {
    let folder = Folder::new();
    let ended = folder.run(THREADPOOL, ["-e", "-v", "-m", "100"]);
    let lines: Vec<_> = ended.out.lines().skip(3).take(POSSIBLE_CODES).collect();
    assert_eq!(lines.len(), POSSIBLE_CODES);
    for line in lines {
        assert!(
            line[2..].starts_with(" OK") || line[2..].starts_with(" not found: "),
            "{line}"
        );
    }
}

#[test]
fn one_request_at_a_time_uses_one_connection() {
    for (program, options) in [(THREADPOOL, ["-m", "1"]), (SEQUENTIAL, ["-m", "9"])] {
        let (folder, server) = (Folder::new(), start_server(Manner::PROMPT));
        let url = server.url();
        let more = ["n", "--base-url", &url];
        let ended = folder.run(program, options.iter().chain(&more));
        assert!(ended.out.contains("\n1 connection will be used.\n"));
        // Half of them are not found, which closes no connection either.
        assert_eq!((server.requests(), server.connections_accepted()), (26, 1));
    }
}

#[test]
fn connections_are_as_many_as_announced_and_no_more() {
    let (folder, server) = (Folder::new(), start_server(slow(Duration::from_millis(20))));
    let ended = folder.run(
        THREADPOOL,
        ["-m", "7", "b", "f", "--base-url", &server.url()],
    );
    assert!(
        ended
            .out
            .contains("\n7 concurrent connections will be used.\n")
    );
    assert_eq!(server.requests(), 52);
    assert!(
        server.connections_accepted() <= 7,
        "{}",
        server.connections_accepted()
    );
}

#[test]
fn delays_of_many_connections_pass_together() {
    let (folder, server) = (Folder::new(), start_server(slow(Duration::from_secs(1))));
    let start = Instant::now();
    let ended = folder.run(THREADPOOL, ["-a", "-m", "194", "--base-url", &server.url()]);
    assert_eq!(
        (ended.count(" flags downloaded"), ended.code),
        (COUNTRIES, Some(0))
    );
    // One after the other, they take 194 s.
    assert!(start.elapsed() < Duration::from_secs(97));
}

#[test]
fn small_examples_succeed() {
    for name in [
        "hello",
        "map",
        "keyed",
        "crawl",
        "scope",
        "cancel",
        "custom_executor",
        "await",
    ] {
        let ended = Folder::new().run(name, [""; 0]);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
    }
}
