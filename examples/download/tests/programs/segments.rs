//! One large file over several connections.

use super::DOWNLOAD;
use super::support::Folder;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use std::{fs, thread};

const PATIENCE: Duration = Duration::from_secs(60);

/// A file, of which the body that is asked for whole is withheld until a part of it has
/// been asked for on another connection.
struct Withheld {
    file: Vec<u8>,
    has_part: Mutex<bool>,
    changed: Condvar,
}

impl Withheld {
    fn serve(self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let withheld = Arc::new(self);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let withheld = Arc::clone(&withheld);
                // The client may hang up.
                thread::spawn(move || withheld.answer(&stream?));
            }
        });
        format!("http://{address}/file")
    }

    fn answer(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        while let Some(request) = lines.next() {
            request?;
            let mut range = None;
            for header in lines.by_ref() {
                let header = header?.to_ascii_lowercase();
                if header.is_empty() {
                    break;
                }
                range = range.or(header.strip_prefix("range: bytes=").map(str::to_owned));
            }
            let length = self.file.len();
            let always = "ETag: \"1\"\r\nAccept-Ranges: bytes";
            let Some(range) = range else {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\n{always}\r\nContent-Length: {length}\r\n\r\n"
                )?;
                let has_part = self.has_part.lock().expect("nobody panics");
                let waited = self
                    .changed
                    .wait_timeout_while(has_part, PATIENCE, |has_part| !*has_part);
                drop(waited);
                stream.write_all(&self.file)?;
                continue;
            };
            *self.has_part.lock().expect("nobody panics") = true;
            self.changed.notify_all();
            let (first, last) = range.split_once('-').expect("a range has two ends");
            let first: usize = first.parse().expect("a number");
            let last = last.parse().unwrap_or(length - 1).min(length - 1);
            let part = &self.file[first..=last];
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\n{always}\r\nContent-Length: {}\r\n\
                 Content-Range: bytes {first}-{last}/{length}\r\n\r\n",
                part.len()
            )?;
            stream.write_all(part)?;
        }
        Ok(())
    }
}

#[test]
fn a_large_file_comes_over_as_many_connections_as_asked_for() {
    let file: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let server = Withheld {
        file: file.clone(),
        has_part: Mutex::new(false),
        changed: Condvar::new(),
    };
    let folder = Folder::new();
    let large = ["--segments", "4", "--segments-above", "1M"];
    let ended = folder.run(DOWNLOAD, large.into_iter().chain([&*server.serve()]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(folder.names(), ["file"]);
    let saved = fs::read(folder.0.join("file")).expect("it is there");
    assert!(saved == file, "another file was saved");
}

#[test]
fn no_connection_at_all_is_refused() {
    let ended = Folder::new().run(DOWNLOAD, ["--segments", "0", "http://localhost/"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("at least one is needed"),
        "{}",
        ended.err
    );
}
