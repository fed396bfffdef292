//! [`Requests`]: the requests of one connection, read one after the other.

use std::io::{self, Read};

/// The longest request head that is read.
const LONGEST_HEAD: usize = 8 * 1024;

/// What a client asks for.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The path, without the query, still with its leading `/`.
    pub(super) path: &'a str,
    /// Whether the client may send more requests on this connection.
    pub(super) keep_alive: bool,
}

/// Why a request cannot be answered.
pub(super) enum Trouble {
    /// The connection was closed or broke.
    Gone,
    /// The header is not an HTTP/1 request.
    Malformed,
    /// The head is longer than [`LONGEST_HEAD`].
    TooLong,
}

/// Reads requests from a stream, and keeps the bytes read past each of them.
pub(super) struct Requests<R> {
    stream: R,
    buffer: Vec<u8>,
    /// Where the next request begins in `buffer`.
    start: usize,
    /// Where what was read ends in `buffer`.
    end: usize,
}

impl<R: Read> Requests<R> {
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: vec![0; LONGEST_HEAD],
            start: 0,
            end: 0,
        }
    }

    /// Blocks until a whole request header has arrived.
    pub(super) fn next(&mut self) -> Result<Request<'_>, Trouble> {
        let mut searched = self.start;
        let head = loop {
            if let Some(length) = find_end(&self.buffer[searched..self.end]) {
                let head = self.start..searched + length;
                self.start = head.end;
                break head;
            }
            // The end may have come in part.
            searched = self.end.saturating_sub(3).max(self.start);
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                searched -= self.start;
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.buffer.len() {
                return Err(Trouble::TooLong);
            }
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(Trouble::Gone),
                Ok(length) => self.end += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Trouble::Gone),
            }
        };
        parse(&self.buffer[head]).ok_or(Trouble::Malformed)
    }
}

/// Returns the length of the head that ends in `bytes`, its blank line included.
fn find_end(bytes: &[u8]) -> Option<usize> {
    const BLANK_LINE: &[u8] = b"\r\n\r\n";
    bytes
        .windows(BLANK_LINE.len())
        .position(|window| window == BLANK_LINE)
        .map(|place| place + BLANK_LINE.len())
}

fn parse(head: &[u8]) -> Option<Request<'_>> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    let mut keep_alive = version != "HTTP/1.0";
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("connection") {
            keep_alive = value.eq_ignore_ascii_case("keep-alive")
                || keep_alive && !value.eq_ignore_ascii_case("close");
        }
        // Bodies are not read, so nothing can follow one.
        let has_body = name.eq_ignore_ascii_case("content-length") && value != "0"
            || name.eq_ignore_ascii_case("transfer-encoding");
        keep_alive &= !has_body;
    }
    let path = match target.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => target,
    };
    let path = path.split('?').next()?;
    path.starts_with('/').then_some(Request {
        method,
        path,
        keep_alive,
    })
}
