//! The frames that cross between a pool and its children: the length of the
//! body, a kind, the body.

use std::io::{self, Read, Write};

/// Set in the environment of a child, so that `init` knows it is one.
pub(super) const CHILD: &str = "AS_COMPLETED_CHILD";

/// To the child: its settings, the first frame of all.
pub(super) const HELLO: u8 = 1;
/// To the child: run a function.
pub(super) const CALL: u8 = 2;
/// To the child: exit.
pub(super) const EXIT: u8 = 3;
/// To the child: run a function with each of several arguments. A byte, 1 to
/// answer each before the next is started; the function's name; the arguments,
/// each behind its length.
pub(super) const CALL_EACH: u8 = 4;

/// To the child: the [`Caller`](crate::function::Caller) of the next frame.
pub(super) const CALLER: u8 = 5;

/// From the child: the encoded result.
pub(super) const RETURNED: u8 = 11;
/// From the child: the function panicked; a [`Panicked`].
pub(super) const PANICKED: u8 = 12;
/// From the child: the argument could not be decoded; a text.
pub(super) const ARGUMENT: u8 = 13;
/// From the child: the result could not be encoded; a text.
pub(super) const RESULT: u8 = 14;
/// From the child: there is no such function; the names there are.
pub(super) const UNKNOWN: u8 = 15;

/// From the child: the next answers to a [`CALL_EACH`], each behind its length,
/// and each ending with its kind.
pub(super) const ANSWERS: u8 = 16;
/// From the child: all is answered up to the call that runs now.
pub(super) const RUNNING: u8 = 17;

/// Message, name of the thread, location.
pub(super) type Panicked = (String, Option<String>, Option<String>);

const HEADER: usize = 9;

/// Arguments up to this size fit in the socket of a child that is idle.
pub(super) const SMALL: usize = 16 * 1024;

/// Bodies up to this size are copied behind their header and written at once: a header
/// that goes ahead wakes the reader for nothing, which takes longer than the copy.
const COPIED: usize = 96 * 1024;

/// Room for bodies up to this size is kept.
pub(super) const KEPT: usize = 96 * 1024;

/// Writes one frame, whose body is `first`, then `second`.
pub(super) fn write(to: &mut impl Write, kind: u8, first: &[u8], second: &[u8]) -> io::Result<()> {
    let length = first.len() as u64 + second.len() as u64;
    let copied = if second.len() <= COPIED { second } else { &[] };
    let mut head = Vec::with_capacity(HEADER + first.len() + copied.len());
    head.extend_from_slice(&length.to_le_bytes());
    head.push(kind);
    head.extend_from_slice(first);
    head.extend_from_slice(copied);
    to.write_all(&head)?;
    to.write_all(&second[copied.len()..])
}

/// Reads one frame; an error at the end of the stream, wherever it is.
pub(super) fn read(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut body = Vec::new();
    let kind = read_onto(from, &mut body)?;
    Ok((kind, body))
}

/// Reads one frame, whose body takes the place of what is in the buffer once its
/// header is there; returns its kind.
///
/// A buffer that was large before spares the system the work of giving out its pages
/// anew, which takes longer than all copies.
pub(super) fn read_onto(from: &mut impl Read, body: &mut Vec<u8>) -> io::Result<u8> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header)?;
    let (length, kind) = header.split_at(HEADER - 1);
    let length = u64::from_le_bytes(length.try_into().map_err(io::Error::other)?);
    let length = usize::try_from(length).map_err(io::Error::other)?;
    if body.capacity() < length {
        *body = vec![0; length];
    } else {
        // What is overwritten is not set to zero before.
        body.resize(length, 0);
    }
    from.read_exact(body)?;
    Ok(kind[0])
}

/// How a function's name stands before its arguments.
pub(super) fn name_of(function: &str) -> Vec<u8> {
    let length = u32::try_from(function.len()).unwrap_or(u32::MAX);
    let mut name = length.to_le_bytes().to_vec();
    name.extend_from_slice(function.as_bytes());
    name
}

/// Splits what follows into the function's name and its arguments.
pub(super) fn split_call(body: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (name, argument) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(name).ok()?, argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_as_it_was_written_whatever_its_size() {
        for size in [0, 1, COPIED, COPIED + 1, 1_000_000] {
            let (mut bytes, argument) = (Vec::new(), vec![7; size]);
            write(&mut bytes, CALL, &name_of("primes"), &argument).unwrap();
            let (kind, body) = read(&mut &bytes[..]).unwrap();
            assert_eq!(kind, CALL);
            assert_eq!(split_call(&body), Some(("primes", &argument[..])));
        }
    }

    #[test]
    fn a_frame_that_is_cut_short_is_an_error() {
        let mut bytes = Vec::new();
        write(&mut bytes, CALL, b"abc", b"").unwrap();
        bytes.pop();
        assert!(read(&mut &bytes[..]).is_err());
        assert!(split_call(b"\x09\0\0\0abc").is_none());
    }
}
