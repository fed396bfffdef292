//! The server on its own.

use super::support::Folder;
use super::{slow, start_server, start_server_program};
use flags::server::{FlagServer, Manner, Source};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn connect(url: &str) -> TcpStream {
    let address: SocketAddr = url
        .strip_prefix("http://")
        .and_then(|address| address.parse().ok())
        .expect("the URL is an address and a port");
    TcpStream::connect(address).expect("the server listens")
}

/// Sends a request as it stands and returns status, headers and body of the
/// answer.
fn ask(stream: &mut TcpStream, request: &str) -> io::Result<(String, Vec<u8>)> {
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let length = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .and_then(|length| length.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![
        0;
        if request.starts_with("HEAD") {
            0
        } else {
            length
        }
    ];
    stream.read_exact(&mut body)?;
    Ok((head, body))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: flags\r\n\r\n")
}

/// Returns the status of an answer on a connection of its own.
fn status(server: &FlagServer, request: &str) -> String {
    let (head, _) = ask(&mut connect(&server.url()), request).expect("the server answers");
    head.split(' ')
        .nth(1)
        .expect("the status comes second")
        .to_owned()
}

#[test]
fn many_requests_on_one_connection() {
    let server = start_server(Manner::PROMPT);
    let mut stream = connect(&server.url());
    for _ in 0..3 {
        let (head, body) = ask(&mut stream, &get("/br/br.gif")).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\n"));
        assert!(body.starts_with(b"GIF89a"));
        let (head, _) = ask(&mut stream, &get("/xx/xx.gif")).unwrap();
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"));
    }
    let (_, body) = ask(&mut stream, &get("/br/br.gif").replace("GET", "HEAD")).unwrap();
    assert_eq!(body, b"");
    assert_eq!((server.requests(), server.connections_accepted()), (7, 1));
}

#[test]
fn a_client_that_keeps_no_connection_alive() {
    let server = start_server(Manner::PROMPT);
    let closing = get("/br/br.gif").replace("Host: flags", "Connection: close");
    let old = get("/br/br.gif").replace("HTTP/1.1", "HTTP/1.0");
    for request in [closing, old] {
        let mut stream = connect(&server.url());
        let (head, _) = ask(&mut stream, &request).unwrap();
        assert!(head.contains("\r\nConnection: close\r\n"));
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn requests_that_come_together_or_in_pieces() {
    let server = start_server(Manner::PROMPT);
    let mut stream = connect(&server.url());
    let two = get("/br/br.gif") + &get("/fr/fr.gif");
    let (_, brazil) = ask(&mut stream, &two).unwrap();
    let (_, france) = ask(&mut stream, "").unwrap();
    assert_ne!(brazil, france);
    stream.set_nodelay(true).unwrap();
    let request = get("/br/br.gif");
    let (last, before) = request.split_at(request.len() - 1);
    for piece in last.as_bytes().chunks(1) {
        stream.write_all(piece).unwrap();
    }
    assert_eq!(ask(&mut stream, before).unwrap().1, brazil);
}

#[test]
fn what_is_no_request_for_a_flag_is_refused() {
    let server = start_server(Manner::PROMPT);
    for (path, expected) in [
        ("/br/br.gif?size=72", "200"),
        ("http://flags/br/br.gif", "200"),
        ("/BR/BR.gif", "404"),
        ("/br/fr.gif", "404"),
        ("/br.gif", "404"),
        ("/", "404"),
        ("/br/br.gif/", "404"),
        ("/br /br.gif", "400"),
    ] {
        assert_eq!(status(&server, &get(path)), expected, "{path}");
    }
    assert_eq!(
        status(&server, &get("/br/br.gif").replace("GET", "POST")),
        "405"
    );
    assert_eq!(status(&server, "\r\n\r\n"), "400");
    let long = format!("/{}", "x".repeat(10_000));
    assert_eq!(status(&server, &get(&long)), "431");
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let folder = Folder::new();
    let root = folder.0.join("root");
    fs::create_dir_all(root.join("br")).unwrap();
    fs::write(root.join("br/br.gif"), "flag").unwrap();
    fs::write(root.join(".hidden"), "secret").unwrap();
    fs::write(folder.0.join("outside"), "secret").unwrap();
    let server = FlagServer::start(Source::Folder(root), Manner::PROMPT).unwrap();
    for (path, expected) in [
        ("/br/br.gif", "200"),
        ("/br", "404"),
        ("/.hidden", "404"),
        ("/../outside", "404"),
        ("/br/../../outside", "404"),
        ("/%2e%2e/outside", "404"),
        ("//etc/hostname", "404"),
        ("/br\\..\\..\\outside", "404"),
        ("", "400"),
    ] {
        assert_eq!(status(&server, &get(path)), expected, "{path}");
    }
}

#[test]
fn large_files_come_whole() {
    let folder = Folder::new();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    fs::write(folder.0.join("large"), &large).unwrap();
    let server = FlagServer::start(Source::Folder(folder.0.clone()), Manner::PROMPT).unwrap();
    let (_, body) = ask(&mut connect(&server.url()), &get("/large")).unwrap();
    assert!(body == large);
}

#[test]
fn the_error_rate_decides_who_gets_tea() {
    let folder = Folder::new();
    for (rate, expected) in [("0", "200"), ("1", "418")] {
        let options = ["-s", "error", "--delay", "0", "--error-rate", rate].map(OsStr::new);
        let (_server, url) = start_server_program(&folder, &options);
        for _ in 0..20 {
            let (head, _) = ask(&mut connect(&url), &get("/br/br.gif")).unwrap();
            assert_eq!(head.split(' ').nth(1), Some(expected));
        }
    }
}

/// How many more descriptors this process may open. Both ends of a connection are here.
#[cfg(unix)]
fn spare_descriptors() -> usize {
    use nix::sys::resource::{Resource, getrlimit};

    /// What the other tests have open meanwhile.
    const OTHERS: u64 = 120;
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    usize::try_from(limit.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn spare_descriptors() -> usize {
    usize::MAX
}

#[test]
fn a_thousand_connections_are_held_at_once() {
    flags::server::allow_open_files().unwrap();
    let server = start_server(Manner::PROMPT);
    let number = spare_descriptors().min(2_000) / 2;
    let mut streams: Vec<_> = (0..number).map(|_| connect(&server.url())).collect();
    for _ in 0..2 {
        for stream in &mut streams {
            let (head, _) = ask(stream, &get("/br/br.gif")).unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "));
        }
    }
    assert_eq!(
        (server.most_connections(), server.requests()),
        (number, 2 * number)
    );
}

#[test]
fn drop_closes_idle_and_waiting_connections() {
    let server = start_server(slow(Duration::from_secs(60 * 60)));
    let (mut idle, mut waiting) = (connect(&server.url()), connect(&server.url()));
    waiting.write_all(get("/br/br.gif").as_bytes()).unwrap();
    while server.requests() == 0 {
        std::thread::yield_now();
    }
    drop(server);
    for stream in [&mut idle, &mut waiting] {
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
}
