//! What is printed, and where nobody reads it.

use super::support::{Ended, Folder};
use super::{DOWNLOAD, start_server};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
#[cfg(unix)]
use std::{io::Write, process::Stdio};

#[cfg(target_os = "linux")]
#[test]
fn full_output_is_an_error_and_no_panic() {
    let (_server, url) = start_server();
    for style in [None, Some("--json"), Some("--verbose")] {
        let folder = Folder::new();
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = folder.command(DOWNLOAD, style.into_iter().chain([&*url]));
        command.stdout(full.expect("Linux has it"));
        let ended = Ended::new(&command.output().expect("the program starts"));
        assert_eq!(ended.code, Some(23), "{ended:?}");
        let error = "error: cannot write to standard output: ";
        assert_eq!(ended.err.matches(error).count(), 1, "{ended:?}");
        assert_eq!(folder.names(), ["br.gif"]);
    }
}

#[cfg(unix)]
#[test]
fn closed_output_is_an_error_and_no_panic() {
    let (_server, url) = start_server();
    let folder = Folder::new();
    let mut command = folder.command(DOWNLOAD, ["--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut list = child.stdin.take().expect("the input is piped");
    writeln!(list, "{url}").expect("the program reads");
    drop(list);
    let output = child.wait_with_output().expect("the program ends");
    let ended = Ended::new(&output);
    assert_eq!(ended.code, Some(23), "{ended:?}");
    assert_eq!(folder.names(), ["br.gif"]);
}

#[test]
fn quiet_prints_errors_and_nothing_else() {
    let (server, url) = start_server();
    let missing = format!("{}/xx/xx.gif", server.url());
    let ended = Folder::new().run(DOWNLOAD, ["--quiet", &url, &missing]);
    assert_eq!(ended.code, Some(22));
    assert_eq!(ended.out, "");
    assert_eq!(ended.err, "xx.gif: HTTP error 404 - Not Found\n");
}

#[test]
fn json_is_as_quiet_as_the_rest() {
    let (server, url) = start_server();
    let missing = format!("{}/xx/xx.gif", server.url());
    let ended = Folder::new().run(DOWNLOAD, ["--quiet", "--json", &url, &missing]);
    assert_eq!((ended.code, &*ended.err), (Some(22), ""));
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines.len(), 1, "{ended:?}");
    assert!(lines[0].contains("\"file\":\"xx.gif\""), "{ended:?}");
}

/// JSON has standard output to itself.
#[test]
fn verbose_json_tells_retries_on_standard_error() {
    // Bound, so that nobody else listens there, and not listening.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a port is free");
    let address = socket.local_addr().ok().and_then(|bound| bound.as_socket());
    let address = address.expect("it is an address of IPv4");
    let url = format!("http://{address}/br.gif");
    let ended = Folder::new().run(DOWNLOAD, ["--verbose", "--json", "--retries", "1", &url]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(
        ended.err.starts_with("br.gif: cannot connect: "),
        "{ended:?}"
    );
    assert!(ended.err.contains("; retry in "), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    assert_eq!(ended.out.lines().count(), 2, "{ended:?}");
    assert!(ended.out.contains("\"retries\":1"), "{ended:?}");
}

#[test]
fn verbose_prints_a_line_for_each_file() {
    let (_server, url) = start_server();
    let ended = Folder::new().run(DOWNLOAD, ["--verbose", &url]);
    assert_eq!(ended.code, Some(0));
    let first = ended.out.lines().next().unwrap_or_default();
    assert!(first.starts_with("br.gif: ok, "), "{ended:?}");
    assert!(ended.out.contains("\n     1 ok\n"), "{ended:?}");
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let ended = Folder::new().run(DOWNLOAD, ["--cacert", "no-such-file", "http://host/x"]);
    assert_eq!(ended.code, Some(2));
    let error = "error: cannot read no-such-file: ";
    assert!(ended.err.starts_with(error), "{ended:?}");
}
