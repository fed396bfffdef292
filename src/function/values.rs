//! [`Values`]: encoded values in a row, as they cross in one message.

use std::ops::Range;

/// Stands in the place of a length that does not fit in a byte, before that.
const LONG: u8 = u8::MAX;

/// The bytes of a length that does not fit in one.
const LENGTH: usize = size_of::<u64>();

/// What a short value takes with its length, and how much room is made for such in
/// advance.
const SHORT: usize = 12;
const ROOM: usize = 64 * 1024;

/// Values in a row, each behind its length.
#[derive(Debug, Default)]
pub struct Values {
    /// Past the end of the last value, there may be the start of one that
    /// could not be written.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Whether the last value was long: the next will be too.
    is_long: bool,
}

impl Values {
    /// None yet, with room for so many short ones.
    pub(crate) fn with_capacity(values: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(values.saturating_mul(SHORT).min(ROOM)),
            ends: Vec::with_capacity(values),
            is_long: false,
        }
    }

    /// Adds the value that `write` appends to the bytes it is given, unless
    /// that fails or panics.
    #[inline]
    pub(crate) fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.size();
        self.bytes.truncate(start);
        self.bytes.push(LONG);
        if self.is_long {
            self.bytes.extend_from_slice(&[0; LENGTH]);
        }
        let room = self.bytes.len() - start;
        write(&mut self.bytes)?;
        let length = self.bytes.len() - start - room;
        match u8::try_from(length) {
            Ok(length) if length < LONG && !self.is_long => self.bytes[start] = length,
            _ => self.lengthen(start, room, length),
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Writes a length that needs more than a byte, or has the room for it.
    #[cold]
    fn lengthen(&mut self, start: usize, room: usize, length: usize) {
        if room == 1 {
            // Once in a row of long ones.
            let value = start + room;
            self.bytes.splice(value..value, [0; LENGTH]);
        }
        let length_at = start + 1..start + 1 + LENGTH;
        self.bytes[length_at].copy_from_slice(&(length as u64).to_le_bytes());
        self.is_long = length >= usize::from(LONG);
    }

    /// How many bytes they are in all.
    fn size(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of some of the values, each behind its length.
    pub(crate) fn bytes(&self, values: Range<usize>) -> &[u8] {
        let start_of = |index: usize| index.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.bytes[start_of(values.start)..start_of(values.end)]
    }
}

/// Makes room for the length of the value that is written next; returns where it is.
#[inline]
pub(crate) fn begin_value(bytes: &mut Vec<u8>) -> usize {
    bytes.push(LONG);
    bytes.len() - 1
}

/// Writes the length of the value that has been written behind that room.
#[inline]
pub(crate) fn end_value(bytes: &mut Vec<u8>, start: usize) {
    let length = bytes.len() - start - 1;
    match u8::try_from(length) {
        Ok(length) if length < LONG => bytes[start] = length,
        _ => lengthen(bytes, start, length),
    }
}

/// Makes the room for a length that needs more than a byte, and writes it.
#[cold]
fn lengthen(bytes: &mut Vec<u8>, start: usize, length: usize) {
    let value = start + 1;
    bytes.splice(value..value, (length as u64).to_le_bytes());
}

/// Takes the first of the values in a row off their bytes; `None` where there
/// is none or it is cut short.
#[inline]
pub(crate) fn take_value<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut length = usize::from(first);
    if first == LONG {
        let (long, behind) = rest.split_first_chunk::<LENGTH>()?;
        length = usize::try_from(u64::from_le_bytes(*long)).ok()?;
        rest = behind;
    }
    let (value, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(values: &mut Values, value: &[u8]) {
        let pushed = values.push(|bytes| {
            bytes.extend_from_slice(value);
            Ok::<(), ()>(())
        });
        assert_eq!(pushed, Ok(()));
    }

    #[test]
    fn values_are_taken_as_they_were_pushed_but_for_those_that_failed() {
        let mut values = Values::default();
        push(&mut values, b"");
        let failed = values.push(|bytes| {
            bytes.extend_from_slice(b"half a val");
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        push(&mut values, b"two");
        assert_eq!(values.len(), 2);
        let mut bytes = values.bytes(0..2);
        assert_eq!(take_value(&mut bytes), Some(&b""[..]));
        assert_eq!(bytes, values.bytes(1..2));
        assert_eq!(take_value(&mut bytes), Some(&b"two"[..]));
        assert_eq!(take_value(&mut bytes), None);
        assert_eq!(values.bytes(2..2), b"");
    }

    #[test]
    fn values_of_all_sizes_are_taken_as_they_were_pushed_or_written() {
        let sizes = [0, 1, 254, 255, 256, 3, 300, 70_000, 0, 254, 255];
        let all: Vec<_> = (0..).zip(sizes).map(|(n, size)| vec![n; size]).collect();
        let (mut values, mut appended) = (Values::with_capacity(3), Vec::new());
        for value in &all {
            push(&mut values, value);
            let start = begin_value(&mut appended);
            appended.extend_from_slice(value);
            end_value(&mut appended, start);
        }
        for mut bytes in [values.bytes(0..all.len()), &appended] {
            for value in &all {
                assert_eq!(take_value(&mut bytes), Some(&value[..]));
            }
            assert_eq!(take_value(&mut bytes), None);
        }
        let mut bytes = values.bytes(3..5);
        assert_eq!(take_value(&mut bytes), Some(&all[3][..]));
        assert_eq!(take_value(&mut bytes), Some(&all[4][..]));
        assert_eq!(bytes, b"");
    }

    #[test]
    fn a_value_that_is_cut_short_is_none() {
        let mut values = Values::default();
        push(&mut values, b"three");
        push(&mut values, &[3; 300]);
        for bytes in [values.bytes(0..1), values.bytes(1..2)] {
            for end in 0..bytes.len() {
                assert_eq!(take_value(&mut &bytes[..end]), None);
            }
        }
    }
}
