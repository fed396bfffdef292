//! One connection: responds to requests until the client disconnects.

use super::request::{Request, Requests, Trouble};
use super::{Files, Shared};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a connection may be idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Files up to this size are sent in one write with their header.
const SMALL: u64 = 1 << 20;

/// Blocks until the client disconnects or the server stops.
pub(super) fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    let mut requests = Requests::new(stream);
    let mut answer = Answer {
        stream,
        text: Vec::new(),
    };
    loop {
        let request = match requests.next() {
            Ok(request) => request,
            Err(Trouble::Gone) => return Ok(()),
            Err(Trouble::Malformed) => return answer.refusal(400, "Bad Request", false, true),
            Err(Trouble::TooLong) => {
                return answer.refusal(431, "Request Header Fields Too Large", false, true);
            }
        };
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let delay = shared.manner.pick_delay();
        if !delay.is_zero() && !shared.stop.sleep(delay) {
            return Ok(());
        }
        reply(&request, &mut answer, shared)?;
        if !request.keep_alive {
            return Ok(());
        }
    }
}

fn reply(request: &Request<'_>, answer: &mut Answer<'_>, shared: &Shared) -> io::Result<()> {
    let (path, keep_alive) = (request.path, request.keep_alive);
    let with_body = match request.method {
        "GET" => true,
        "HEAD" => false,
        _ => return answer.refusal(405, "Method Not Allowed", keep_alive, true),
    };
    if shared.manner.pick_failure() {
        return answer.refusal(418, "I'm a teapot", keep_alive, with_body);
    }
    match &shared.files {
        Files::BuiltIn(gifs) => {
            if let Some(flag) = flag_code(path).and_then(|code| gifs.flag(code)) {
                return answer.found("image/gif", flag, keep_alive, with_body);
            }
        }
        Files::Folder(root) => {
            if let Some((file, length)) = file_path(root, path).as_deref().and_then(open) {
                let kind = content_type(path);
                return answer.file(kind, file, length, keep_alive, with_body);
            }
        }
    }
    answer.refusal(404, "Not Found", keep_alive, with_body)
}

/// Returns `cc` of `/cc/cc.gif`.
fn flag_code(path: &str) -> Option<&str> {
    let (folder, file) = path.strip_prefix('/')?.split_once('/')?;
    (file.strip_suffix(".gif")? == folder).then_some(folder)
}

/// Returns the location of a file, if its path cannot lead out of `root` or to a
/// hidden file. Names are used as they are, without decoding.
fn file_path(root: &Path, path: &str) -> Option<PathBuf> {
    let mut file = root.to_owned();
    for name in path.strip_prefix('/')?.split('/') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            return None;
        }
        file.push(name);
    }
    Some(file)
}

fn open(path: &Path) -> Option<(File, u64)> {
    let file = File::open(path).ok()?;
    let about = file.metadata().ok()?;
    about.is_file().then_some((file, about.len()))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("gif") => "image/gif",
        Some("html") => "text/html; charset=utf-8",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Assembles responses, so that each is sent in one write.
struct Answer<'a> {
    stream: &'a TcpStream,
    text: Vec<u8>,
}

impl Answer<'_> {
    /// Begins a response with its status and headers.
    fn head(&mut self, status: u16, reason: &str, kind: &str, length: u64, keep_alive: bool) {
        self.text.clear();
        let connection = if keep_alive { "keep-alive" } else { "close" };
        write!(
            self.text,
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\nConnection: {connection}\r\n\r\n",
        )
        .expect("writing to memory does not fail");
    }

    fn found(
        &mut self,
        kind: &str,
        body: &[u8],
        keep_alive: bool,
        with_body: bool,
    ) -> io::Result<()> {
        self.head(200, "OK", kind, body.len() as u64, keep_alive);
        if with_body {
            self.text.extend_from_slice(body);
        }
        self.stream.write_all(&self.text)
    }

    fn refusal(
        &mut self,
        status: u16,
        reason: &str,
        keep_alive: bool,
        with_body: bool,
    ) -> io::Result<()> {
        let length = reason.len() as u64 + 1;
        self.head(status, reason, "text/plain", length, keep_alive);
        if with_body {
            self.text.extend_from_slice(reason.as_bytes());
            self.text.push(b'\n');
        }
        self.stream.write_all(&self.text)
    }

    fn file(
        &mut self,
        kind: &str,
        file: File,
        length: u64,
        keep_alive: bool,
        with_body: bool,
    ) -> io::Result<()> {
        self.head(200, "OK", kind, length, keep_alive);
        // A file that grows meanwhile is sent as long as it was; one that
        // shrinks can only be shown by closing.
        let mut body = file.take(length);
        if !with_body {
            return self.stream.write_all(&self.text);
        }
        let sent = if length <= SMALL {
            let read = body.read_to_end(&mut self.text)?;
            self.stream.write_all(&self.text)?;
            read as u64
        } else {
            self.stream.write_all(&self.text)?;
            io::copy(&mut body, &mut self.stream)?
        };
        if sent < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
