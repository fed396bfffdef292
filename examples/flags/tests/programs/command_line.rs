//! What the programs say, and with which code they end.

use super::support::{Ended, Folder};
use super::{SEQUENTIAL, THREADPOOL, slow, start_server};
use flags::server::Manner;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;
#[cfg(unix)]
use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Stdio,
};

/// Replaces the time that it took, if it is one.
fn without_time(out: &str) -> String {
    let (before, time) = out
        .split_once("Elapsed time: ")
        .expect("the report has a time");
    let (seconds, hundredths) = time
        .strip_suffix("s\n")
        .and_then(|number| number.split_once('.'))
        .expect("the time is in seconds, at the end");
    assert!(
        seconds.parse::<u32>().is_ok() && hundredths.len() == 2,
        "{time}"
    );
    format!("{before}Elapsed time: 0.00s\n")
}

#[test]
fn few_codes_are_named_and_counted() {
    let (folder, server) = (Folder::new(), start_server(Manner::PROMPT));
    let url = server.url();
    let ended = folder.run(THREADPOOL, ["in", "BR", "br", "fr", "--base-url", &url]);
    assert_eq!(
        without_time(&ended.out),
        format!(
            "LOCAL site: {url}\n\
             Searching for 3 flags: BR, FR, IN\n\
             3 concurrent connections will be used.\n\
             --------------------\n  \
               3 flags downloaded.\n\
             Elapsed time: 0.00s\n"
        )
    );
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)));
}

#[test]
fn one_code_is_singular() {
    let folder = Folder::new();
    let ended = folder.run(THREADPOOL, ["br"]);
    assert!(
        ended
            .out
            .contains("\nSearching for 1 flag: BR\n1 connection will be used.\n")
    );
    assert!(ended.out.contains("\n  1 flag downloaded.\nElapsed time: "));
}

#[test]
fn many_codes_are_named_by_first_and_last() {
    let folder = Folder::new();
    let ended = folder.run(SEQUENTIAL, ["n", "--limit", "11", "-m", "5"]);
    let start = "\nSearching for 11 flags: from NA to NK\n1 connection will be used.\n";
    assert!(ended.out.contains(start), "{}", ended.out);
    let ended = folder.run(SEQUENTIAL, ["n", "--limit", "10"]);
    assert!(
        ended
            .out
            .contains(": NA, NB, NC, ND, NE, NF, NG, NH, NI, NJ\n")
    );
}

#[test]
fn no_code_means_the_most_populous_countries() {
    let folder = Folder::new();
    let ended = folder.run(THREADPOOL, [""; 0]);
    assert!(
        ended
            .out
            .contains("\nSearching for 20 flags: from BD to VN\n20 concurrent ")
    );
    assert_eq!(
        (ended.count(" flags downloaded"), ended.code),
        (20, Some(0))
    );
    assert_eq!(folder.downloaded().len(), 20);
}

#[test]
fn every_beats_all_and_all_beats_codes() {
    let (folder, server) = (Folder::new(), start_server(Manner::PROMPT));
    let url = server.url();
    let run = |options: [&str; 3]| {
        let more = ["-l", "2", "--base-url", &url];
        let options = options.iter().chain(&more);
        folder.run(THREADPOOL, options).out
    };
    assert!(run(["-a", "-e", "br"]).contains(": AA, AB\n"));
    assert!(run(["-a", "br", "fr"]).contains(": AD, AE\n"));
}

#[test]
fn verbose_tells_the_fate_of_each_flag() {
    let (folder, server) = (Folder::new(), start_server(Manner::PROMPT));
    let url = server.url();
    let ended = folder.run(SEQUENTIAL, ["-v", "br", "xx", "--base-url", &url]);
    let lines = format!("BR OK\nXX not found: {url}/xx/xx.gif\n----");
    assert!(ended.out.contains(&lines), "{}", ended.out);
    assert!(
        ended
            .out
            .contains("\n  1 flag downloaded.\n  1 not found.\nElapsed")
    );
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(1)));
}

#[test]
fn errors_are_told_with_their_cause() {
    let folder = Folder::new();
    let always = ["-s", "error", "--delay", "0", "--error-rate", "1"];
    let ended = folder.run(THREADPOOL, always.iter().chain(&["bd", "-v"]));
    let line = "\nBD error: HTTP error 418 - I'm a teapot\n----";
    assert!(ended.out.starts_with("ERROR site: http://127.0.0.1:"));
    assert!(ended.out.contains(line), "{}", ended.out);
    assert!(
        ended
            .out
            .contains("\n  0 flags downloaded.\n  1 error.\nElapsed")
    );
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(1)));
}

#[test]
fn errors_reach_a_piped_standard_error_without_a_bar() {
    let teapot = Manner {
        error_rate: 1.0,
        ..Manner::PROMPT
    };
    let (folder, server) = (Folder::new(), start_server(teapot));
    let ended = folder.run(SEQUENTIAL, ["br", "xx", "--base-url", &server.url()]);
    let error = "error: HTTP error 418 - I'm a teapot\n";
    assert_eq!(ended.err, format!("BR {error}XX {error}"));
    assert!(ended.out.contains("\n  0 flags downloaded.\n  2 errors.\n"));
    assert_eq!(ended.code, Some(1));
}

#[test]
fn flags_that_are_not_found_are_counted_and_named_only_on_demand() {
    let (folder, server) = (Folder::new(), start_server(Manner::PROMPT));
    let url = server.url();
    let ended = folder.run(SEQUENTIAL, ["br", "xx", "xy", "--base-url", &url]);
    assert_eq!((ended.err.as_str(), ended.code), ("", Some(1)));
    assert!(
        ended
            .out
            .contains("\n  1 flag downloaded.\n  2 not found.\nElapsed")
    );
}

#[test]
fn labels_are_of_any_case() {
    let (folder, server) = (Folder::new(), start_server(Manner::PROMPT));
    for (label, shown) in [("Delay", "DELAY"), ("remote", "REMOTE"), ("LOCAL", "LOCAL")] {
        let ended = folder.run(THREADPOOL, ["-s", label, "br", "--base-url", &server.url()]);
        assert!(
            ended
                .out
                .starts_with(&format!("{shown} site: {}\n", server.url()))
        );
    }
}

#[test]
fn usage_errors_name_the_option_and_touch_nothing() {
    let folder = Folder::new();
    for (arguments, named) in [
        (["-m", "0"], "--max_req"),
        (["-m", "x"], "--max_req"),
        (["-m", "99999999999999999999"], "--max_req"),
        (["-l", "0"], "--limit"),
        (["-l", "-1"], "--limit"),
        (["-s", "MOON"], "--server"),
        (["br", "xyz"], "CC"),
        (["br", "é"], "CC"),
        (["br", ""], "CC"),
        (["b1", "--all"], "CC"),
        (["--base-url", "ftp://example.org"], "--base-url"),
        (["--base-url", "http://"], "--base-url"),
        (["--delay", "2..1"], "--delay"),
        (["--delay", "-1"], "--delay"),
        (["--delay", "1..x"], "--delay"),
        (["--error-rate", "-0.5"], "--error-rate"),
        (["--error-rate", "NaN"], "--error-rate"),
        (["--root", "not-there"], "--root"),
        (["--what", "br"], "--what"),
    ] {
        for program in [THREADPOOL, SEQUENTIAL] {
            let ended = folder.run(program, arguments);
            assert_eq!(
                (ended.out.as_str(), ended.code),
                ("", Some(2)),
                "{arguments:?}"
            );
            assert!(ended.err.contains(named), "{arguments:?}: {}", ended.err);
        }
    }
    assert!(!folder.0.join("downloaded").exists());
}

#[test]
fn number_that_is_too_large_is_told_so() {
    let folder = Folder::new();
    let ended = folder.run(THREADPOOL, ["-m", "99999999999999999999999"]);
    assert!(ended.err.contains("number is too large"), "{}", ended.err);
    let ended = folder.run(THREADPOOL, ["-m", "-9"]);
    assert!(ended.err.contains("whole number"), "{}", ended.err);
}

#[cfg(target_os = "linux")]
#[test]
fn full_output_is_an_error_and_the_flags_are_there() {
    let (server, arguments) = (start_server(Manner::PROMPT), [["br", "fr"], ["-v", "br"]]);
    for arguments in arguments {
        let folder = Folder::new();
        let mut command = folder.command(THREADPOOL, arguments);
        let full = std::fs::File::options().write(true).open("/dev/full");
        command.args(["--base-url", &server.url()]);
        command.stdout(full.expect("Linux has it"));
        let ended = Ended::new(&command.output().expect("the example starts"));
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        let error = "error: cannot write to standard output: ";
        assert!(ended.err.starts_with(error), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(!folder.downloaded().is_empty());
    }
}

#[cfg(unix)]
#[test]
fn closed_output_is_an_error_and_no_panic() {
    let folder = Folder::new();
    // Nobody reads it from the beginning.
    let (reader, writer) = UnixStream::pair().expect("there are sockets");
    drop(reader);
    let mut command = folder.command(THREADPOOL, ["br", "-v"]);
    command.stdout(OwnedFd::from(writer)).stderr(Stdio::piped());
    let server = start_server(Manner::PROMPT);
    let ended = command.args(["--base-url", &server.url()]).output();
    let ended = Ended::new(&ended.expect("the example starts"));
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert_eq!(folder.downloaded().len(), 1);
}

#[test]
fn help_names_all_options() {
    let help = Folder::new().run(THREADPOOL, ["-h"]);
    for option in [
        "[CC]...",
        "-a, --all",
        "-e, --every",
        "-l, --limit <N>",
        "-m, --max_req <CONCURRENT>",
        "-s, --server <LABEL>",
        "-v, --verbose",
        "-h, --help",
        "--base-url <URL>",
        "LOCAL, DELAY, ERROR, REMOTE",
    ] {
        assert!(help.out.contains(option), "{option}");
    }
    assert_eq!(help.code, Some(0));
}

#[test]
fn more_requests_than_the_cap_are_not_an_error() {
    let folder = Folder::new();
    let ended = folder.run(
        THREADPOOL,
        ["-m", "5000", "-s", "delay", "--delay", "0", "br", "fr"],
    );
    assert!(
        ended
            .out
            .contains("\n2 concurrent connections will be used.\n")
    );
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_any_request() {
    let (folder, server) = (Folder::new(), start_server(slow(Duration::ZERO)));
    std::fs::write(folder.0.join("downloaded"), "in the way").unwrap();
    let ended = folder.run(THREADPOOL, ["br", "--base-url", &server.url()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.starts_with("error: cannot ") && ended.err.contains("downloaded"));
    assert_eq!(server.requests(), 0);
}

/// Answers each request with 403, on a thread that lives as long as the tests.
fn start_refusing_proxy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            let answer =
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _gone = stream.write_all(answer);
        }
    });
    format!("http://{address}")
}

/// As curl does: also for a server of this machine, unless `NO_PROXY` names it.
#[test]
fn proxy_of_the_environment_is_for_urls_and_not_for_the_own_server() {
    let (folder, server) = (Folder::new(), start_server(Manner::PROMPT));
    let (url, proxy) = (server.url(), start_refusing_proxy());
    let run = |arguments: &[&str], exceptions: &str| {
        let mut command = folder.command(THREADPOOL, arguments);
        command.env("HTTP_PROXY", &proxy);
        command.env_remove("no_proxy").env("NO_PROXY", exceptions);
        Ended::new(&command.output().expect("the program starts"))
    };
    let own = run(&["br"], "");
    assert_eq!((own.err.as_str(), own.code), ("", Some(0)));
    let excepted = run(&["br", "--base-url", &url], "127.0.0.1");
    assert_eq!((excepted.err.as_str(), excepted.code), ("", Some(0)));
    let through_proxy = run(&["br", "--base-url", &url], "");
    assert!(through_proxy.err.contains("403"), "{}", through_proxy.err);
    assert_eq!(through_proxy.code, Some(1));
}
