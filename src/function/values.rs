//! [`Values`]: encoded values in a row, as they cross in one message.

use std::ops::Range;

/// The bytes of the length before each value.
const LENGTH: usize = size_of::<u64>();

/// Values in a row, each behind its length.
#[derive(Debug, Default)]
pub struct Values {
    /// Past the end of the last value, there may be the start of one that
    /// could not be written.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Values {
    /// Adds the value that `write` appends to the bytes it is given, unless
    /// that fails or panics.
    pub(crate) fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.size();
        self.bytes.truncate(start);
        begin_value(&mut self.bytes);
        write(&mut self.bytes)?;
        end_value(&mut self.bytes[start..]);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// How many bytes they are in all.
    pub(crate) fn size(&self) -> usize {
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

/// Leaves room for the length of a value that is appended then.
pub(crate) fn begin_value(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&[0; LENGTH]);
}

/// Writes the length before a value, given the room for it and all of the value.
pub(crate) fn end_value(bytes: &mut [u8]) {
    if let Some((length, value)) = bytes.split_first_chunk_mut::<LENGTH>() {
        *length = (value.len() as u64).to_le_bytes();
    }
}

/// Takes the first of the values in a row off their bytes; `None` where there
/// is none or it is cut short.
pub(crate) fn take_value<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
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
    fn a_value_that_is_cut_short_is_none() {
        let mut values = Values::default();
        push(&mut values, b"three");
        let bytes = values.bytes(0..1);
        assert_eq!(take_value(&mut &bytes[..bytes.len() - 1]), None);
        assert_eq!(take_value(&mut &bytes[..3]), None);
    }
}
