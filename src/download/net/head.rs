//! [`Head`]: the header of an answer as it comes, and as it is handed on.
//!
//! ureq reads no more than 128 lines, refuses what others accept, and acts on
//! headers if another crate of the build has switched that on: it decodes bodies
//! and keeps cookies. So it gets to see only the lines that matter here, and
//! those under names that mean nothing to it. The framing is decided here, since
//! a body whose end is misjudged becomes a wrong file.

use super::transport::Fault;
use std::io::BufRead;
use ureq::http::HeaderName;

/// Under which name `Content-Encoding` is handed on.
pub(crate) static CONTENT_ENCODING: HeaderName =
    HeaderName::from_static("as-completed-content-encoding");
/// Under which name `Set-Cookie` is handed on.
pub(crate) static SET_COOKIE: HeaderName = HeaderName::from_static("as-completed-set-cookie");

/// Longer headers are refused.
const MAX_LENGTH: usize = 256 * 1024;
/// How many lines are handed on, beside those of the framing; more are of no use
/// to anybody.
const MAX_LINES: usize = 100;

/// The lines that are handed on as they are.
const KEPT: [&str; 11] = [
    "accept-ranges",
    "connection",
    "content-disposition",
    "content-range",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "www-authenticate",
];

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By its length, or by the end of the connection.
    Plain,
    Chunked,
}

/// How each answer begins.
const BEGINNING: &[u8] = b"HTTP/1.";

/// What has been read of an answer's header that did not come as a whole.
#[derive(Debug, Default)]
pub(crate) struct Head {
    received: Vec<u8>,
    /// Where the first line begins that has not come to its end.
    searched: usize,
}

/// A header that has been read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) framing: Framing,
    pub(crate) code: u16,
    /// What is handed on.
    pub(crate) text: Vec<u8>,
}

impl Head {
    pub(crate) fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Takes as much of the input as belongs to the header, and returns how much
    /// that is, and the header once it is complete. Answers such as
    /// `103 Early Hints` are passed over.
    pub(crate) fn take(&mut self, input: &[u8]) -> Result<(usize, Option<Answered>), ureq::Error> {
        let before = self.received.len();
        if before == 0 {
            // Nearly all come as a whole, and need be neither copied nor searched first.
            check_beginning(input)?;
            if let Some((answered, length)) = read(input)? {
                return Ok((length, answered.is_last().then_some(answered)));
            }
        }
        self.received.extend_from_slice(input);
        check_beginning(&self.received)?;
        if !has_end(&self.received, &mut self.searched) {
            if self.received.len() > MAX_LENGTH {
                return Err(ureq::Error::LargeResponseHeader(
                    self.received.len(),
                    MAX_LENGTH,
                ));
            }
            return Ok((input.len(), None));
        }
        let received = std::mem::take(self).received;
        let Some((answered, length)) = read(&received)? else {
            return Err(malformed("header without an end"));
        };
        Ok((length - before, answered.is_last().then_some(answered)))
    }
}

impl Answered {
    /// Whether no other answer follows to the same request.
    fn is_last(&self) -> bool {
        self.code >= 200 || self.code == 101
    }
}

fn check_beginning(received: &[u8]) -> Result<(), ureq::Error> {
    let length = received.len().min(BEGINNING.len());
    if received[..length] == BEGINNING[..length] {
        Ok(())
    } else {
        Err(malformed("no status line"))
    }
}

/// Looks for the empty line, from a line on, which becomes the next to be searched.
fn has_end(received: &[u8], searched: &mut usize) -> bool {
    while let Some((line, length)) = next_line(&received[*searched..]) {
        *searched += length;
        if line.is_empty() {
            return true;
        }
    }
    false
}

/// Returns the first line, if it has come to its end, and its length with that.
fn next_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut rest = bytes;
    // Searches many bytes at a time.
    let length = rest.skip_until(b'\n').ok()?;
    let line = bytes[..length].strip_suffix(b"\n")?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), length))
}

fn malformed(why: &'static str) -> ureq::Error {
    Fault::Malformed(why).into_error()
}

/// Reads a header, and returns it with its length, if it is whole.
fn read(received: &[u8]) -> Result<Option<(Answered, usize)>, ureq::Error> {
    let Some((status, mut taken)) = next_line(received) else {
        return Ok(None);
    };
    let (minor, code) =
        read_status(status).ok_or_else(|| malformed("status line cannot be read"))?;
    let mut rewriting = Rewriting::new(minor, code);
    loop {
        let Some((line, length)) = next_line(&received[taken..]) else {
            return Ok(None);
        };
        taken += length;
        if line.is_empty() {
            break;
        }
        if let [b' ' | b'\t', ..] = line {
            rewriting.go_on(line.trim_ascii())?;
            continue;
        }
        let (name, value) = split_at_colon(line)?;
        rewriting.field(name, value.trim_ascii());
    }
    let has_no_body = code < 200 || code == 204 || code == 304;
    let is_chunked = match rewriting.codings {
        Codings::None => false,
        _ if has_no_body => false,
        Codings::Chunked if minor == 1 => true,
        _ if minor == 0 => return Err(malformed("transfer encoding in HTTP/1.0")),
        _ => return Err(malformed("transfer encoding is not chunked alone")),
    };
    let framing = if is_chunked {
        Framing::Chunked
    } else {
        Framing::Plain
    };
    let answered = Answered {
        framing,
        code,
        text: rewriting.finish(framing),
    };
    Ok(Some((answered, taken)))
}

fn read_status(line: &[u8]) -> Option<(u8, u16)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let minor = match minor {
        b'0' => 0,
        b'1' => 1,
        _ => return None,
    };
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let (digits, reason) = rest.split_at_checked(3)?;
    let code: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (code >= 100 && matches!(reason, [] | [b' ', ..])).then_some((minor, code))
}

/// Splits a line into a name and what follows the colon.
fn split_at_colon(line: &[u8]) -> Result<(&[u8], &[u8]), ureq::Error> {
    let mut length = 0;
    while length < line.len() && is_of_a_name(line[length]) {
        length += 1;
    }
    match (length, &line[length..]) {
        (1.., [b':', value @ ..]) => Ok((&line[..length], value)),
        (_, []) => Err(malformed("header without a colon")),
        _ => Err(malformed("header with an invalid name")),
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Which transfer codings a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codings {
    None,
    Chunked,
    /// Others, or more.
    Unknown,
}

impl Codings {
    fn and(self, value: &[u8]) -> Self {
        let codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.fold(self, |codings, coding| match codings {
            codings if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") => codings,
            Self::None if coding.eq_ignore_ascii_case(b"chunked") => Self::Chunked,
            _ => Self::Unknown,
        })
    }
}

/// Which line was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Status,
    /// One that is handed on.
    Kept,
    Dropped,
    /// One by which the end of the body is found.
    OfFraming,
}

/// The header as it is handed on.
#[derive(Debug)]
struct Rewriting {
    text: Vec<u8>,
    lines: usize,
    last: Line,
    codings: Codings,
    /// The lines of `Content-Length`, which count only if there are no chunks.
    lengths: Vec<u8>,
}

impl Rewriting {
    fn new(minor: u8, code: u16) -> Self {
        /// Room for what most servers say.
        const USUAL: usize = 512;
        let mut text = Vec::with_capacity(USUAL);
        text.extend_from_slice(BEGINNING);
        text.push(b'0' + minor);
        text.push(b' ');
        let digits = [code / 100, code / 10 % 10, code % 10];
        text.extend(digits.map(|digit| b"0123456789"[usize::from(digit)]));
        text.extend_from_slice(b"\r\n");
        Self {
            text,
            lines: 0,
            last: Line::Status,
            codings: Codings::None,
            lengths: Vec::new(),
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.last = Line::OfFraming;
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings = self.codings.and(value);
            return;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            push(&mut self.lengths, "content-length", value);
            return;
        }
        self.last = match handed_on_as(name) {
            Some(name) if self.lines < MAX_LINES => {
                self.lines += 1;
                push(&mut self.text, name, value);
                Line::Kept
            }
            _ => Line::Dropped,
        };
    }

    /// Goes on with the line before, which is an obsolete way to write a long one.
    fn go_on(&mut self, value: &[u8]) -> Result<(), ureq::Error> {
        match self.last {
            Line::Status => Err(malformed("header begins with a space")),
            Line::OfFraming => Err(malformed("framing goes on in another line")),
            Line::Dropped => Ok(()),
            Line::Kept => {
                self.text.truncate(self.text.len() - 2);
                self.text.push(b' ');
                self.text.extend_from_slice(value);
                self.text.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }

    fn finish(mut self, framing: Framing) -> Vec<u8> {
        if framing == Framing::Chunked {
            push(&mut self.text, "transfer-encoding", b"chunked");
            if !self.lengths.is_empty() {
                // Somebody on the way may have found another end of the body.
                push(&mut self.text, "connection", b"close");
            }
        } else {
            self.text.append(&mut self.lengths);
        }
        self.text.extend_from_slice(b"\r\n");
        self.text
    }
}

fn push(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.reserve(name.len() + value.len() + 4);
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

fn handed_on_as(name: &[u8]) -> Option<&'static str> {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    if is("content-encoding") {
        return Some(CONTENT_ENCODING.as_str());
    }
    if is("set-cookie") {
        return Some(SET_COOKIE.as_str());
    }
    KEPT.into_iter().find(|kept| is(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_on(text: &str) -> Result<Answered, ureq::Error> {
        let (taken, answered) = Head::default().take(text.as_bytes())?;
        assert_eq!(taken, text.len());
        Ok(answered.expect("the header is complete"))
    }

    #[test]
    fn header_is_found_wherever_the_input_is_cut() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        let whole = text.len() - 4;
        for cut in 0..whole {
            let mut head = Head::default();
            let (taken, answered) = head.take(&text[..cut]).unwrap();
            assert!(taken == cut && answered.is_none(), "{cut}");
            let (taken, answered) = head.take(&text[cut..]).unwrap();
            assert_eq!(taken, whole - cut, "{cut}");
            let text = answered.unwrap().text;
            assert_eq!(text, b"HTTP/1.1 200\r\ncontent-length: 4\r\n\r\n");
        }
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let mut head = Head::default();
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        let (taken, answered) = head.take(hints).unwrap();
        assert!(taken == hints.len() && answered.is_none() && head.is_empty());
        assert_eq!(handed_on("HTTP/1.1 204 No\r\n\r\n").unwrap().code, 204);
    }

    #[test]
    fn only_what_matters_is_handed_on_and_by_no_name_that_ureq_acts_on() {
        let answered = handed_on(
            "HTTP/1.1 200 OK\r\nX-Mine: 1\r\nContent-Encoding: gzip\r\n\
             Set-Cookie: a=b\r\nETag:\"1\"\r\n\r\n",
        );
        assert_eq!(
            String::from_utf8(answered.unwrap().text).unwrap(),
            "HTTP/1.1 200\r\nas-completed-content-encoding: gzip\r\n\
             as-completed-set-cookie: a=b\r\netag: \"1\"\r\n\r\n"
        );
    }

    #[test]
    fn transfer_encoding_is_chunked_or_an_error() {
        let framing = |version: &str, value: &str| {
            let text = format!("{version} 200 OK\r\nTransfer-Encoding: {value}\r\n\r\n");
            handed_on(&text).map(|answered| answered.framing).ok()
        };
        assert_eq!(framing("HTTP/1.1", "chunked"), Some(Framing::Chunked));
        assert_eq!(framing("HTTP/1.1", "Chunked "), Some(Framing::Chunked));
        assert_eq!(framing("HTTP/1.1", "identity"), Some(Framing::Plain));
        for value in [
            "xchunked",
            "gzip",
            "gzip, chunked",
            "chunked, chunked",
            "chunked, gzip",
        ] {
            assert_eq!(framing("HTTP/1.1", value), None, "{value}");
        }
        assert_eq!(framing("HTTP/1.0", "chunked"), None);
    }

    #[test]
    fn length_beside_chunks_does_not_count_and_ends_the_connection() {
        let answered =
            handed_on("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(
            String::from_utf8(answered.unwrap().text).unwrap(),
            "HTTP/1.1 200\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn header_that_can_be_read_in_two_ways_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\n Content-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: 3\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "HTTP/1.1\t200 OK\r\n\r\n",
        ] {
            assert!(handed_on(text).is_err(), "{text:?}");
        }
        assert!(Head::default().take(b"220 smtp").is_err());
    }

    #[test]
    fn folded_line_is_one_value() {
        let answered = handed_on("HTTP/1.1 200 OK\r\nETag: \"a\r\n  b\"\r\n\r\n").unwrap();
        assert!(answered.text.windows(5).any(|text| text == b"\"a b\""));
    }
}
