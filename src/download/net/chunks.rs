//! [`Chunks`]: the framing of a chunked body, read strictly and written anew.
//!
//! ureq refuses extensions of more than a few bytes, and takes trailers without
//! an end. Here what is not data is passed over, within bounds, and the data goes
//! on in chunks of no extension and no trailer.

use super::transport::Fault;
use std::io::Write;

/// Bytes of extensions, beyond as many as there are of data, and bytes of
/// trailers that are passed over.
const SPARE: u64 = 16 * 1024;

/// Where in the framing the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the size of a chunk, of which there were so many digits.
    Size(u8),
    /// Behind it, where an extension may begin.
    AfterSize,
    Extension,
    EndOfSize,
    Data,
    AfterData,
    EndOfData,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    InTrailer,
    LastEnd,
    Ended,
}

/// A chunked body on its way.
#[derive(Debug)]
pub(crate) struct Chunks {
    at: At,
    /// Bytes of the chunk that are to come.
    left: u64,
    spare: u64,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self {
            at: At::Size(0),
            left: 0,
            spare: SPARE,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.at == At::Ended
    }

    /// Whether what comes next is data.
    pub(crate) fn is_in_data(&self) -> bool {
        self.at == At::Data
    }

    /// Whether all data has come, and what is missing says nothing.
    pub(crate) fn may_end_here(&self) -> bool {
        self.at == At::Trailer && self.spare == SPARE
    }

    /// Reads input and writes what is to go on; returns how much input was used,
    /// which is all of it unless the body ends before or there is much output.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<usize, ureq::Error> {
        const MUCH: usize = 64 * 1024;
        let mut used = 0;
        while used < input.len() && self.at != At::Ended && output.len() < MUCH {
            if self.at == At::Data {
                let there = input.len() - used;
                let data = usize::try_from(self.left).map_or(there, |left| left.min(there));
                write_chunk(&input[used..used + data], output);
                used += data;
                self.left -= data as u64;
                self.spare = self.spare.saturating_add(data as u64);
                if self.left == 0 {
                    self.at = At::AfterData;
                }
                continue;
            }
            self.at = self.step(input[used])?;
            used += 1;
            if self.at == At::Ended {
                output.extend_from_slice(b"0\r\n\r\n");
            }
        }
        Ok(used)
    }

    /// Ends the body where it may end.
    pub(crate) fn end(&mut self, output: &mut Vec<u8>) {
        self.at = At::Ended;
        output.extend_from_slice(b"0\r\n\r\n");
    }

    fn step(&mut self, byte: u8) -> Result<At, ureq::Error> {
        let malformed = |why| Err(Fault::Malformed(why).into_error());
        Ok(match self.at {
            At::Size(digits) if byte.is_ascii_hexdigit() => {
                if digits == 16 {
                    return malformed("chunk size has too many digits");
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                self.left = self.left << 4 | digit;
                At::Size(digits + 1)
            }
            At::Size(1..) | At::AfterSize => match byte {
                b'\r' => At::EndOfSize,
                b';' => At::Extension,
                b' ' | b'\t' => {
                    self.pay()?;
                    At::AfterSize
                }
                _ => return malformed("chunk has no size"),
            },
            At::Size(_) => return malformed("chunk has no size"),
            At::Extension => match byte {
                b'\r' => At::EndOfSize,
                b'\n' => return malformed("chunk extension contains a line break"),
                _ => {
                    self.pay()?;
                    At::Extension
                }
            },
            At::EndOfSize => match (byte, self.left) {
                (b'\n', 0) => {
                    self.spare = SPARE;
                    At::Trailer
                }
                (b'\n', _) => At::Data,
                _ => return malformed("chunk extension contains a line break"),
            },
            At::AfterData if byte == b'\r' => At::EndOfData,
            At::EndOfData if byte == b'\n' => At::Size(0),
            At::AfterData | At::EndOfData => {
                return malformed("chunk is longer than its size");
            }
            At::Trailer if byte == b'\r' => At::LastEnd,
            At::InTrailer if byte == b'\n' => At::Trailer,
            At::Trailer | At::InTrailer => {
                self.pay()?;
                At::InTrailer
            }
            At::LastEnd if byte == b'\n' => At::Ended,
            At::LastEnd => return malformed("trailer contains a line break"),
            at @ (At::Data | At::Ended) => at,
        })
    }

    /// Counts a byte that is passed over.
    fn pay(&mut self) -> Result<(), ureq::Error> {
        self.spare = self
            .spare
            .checked_sub(1)
            .ok_or_else(|| Fault::Malformed("too much beside the data of chunks").into_error())?;
        Ok(())
    }
}

fn write_chunk(data: &[u8], output: &mut Vec<u8>) {
    // Writing to a vector never fails.
    let _ = write!(output, "{:x}\r\n", data.len());
    output.extend_from_slice(data);
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the body in pieces of that size, and returns the data in it.
    fn data_of(body: &str, piece: usize) -> Result<String, ureq::Error> {
        let mut chunks = Chunks::new();
        let mut output = Vec::new();
        for piece in body.as_bytes().chunks(piece) {
            let used = chunks.take(piece, &mut output)?;
            assert!(used == piece.len() || chunks.is_ended());
        }
        assert!(chunks.is_ended(), "{body:?}");
        // What is written is simple enough to be read by splitting it.
        let text = String::from_utf8(output).unwrap();
        let mut data = String::new();
        let mut rest = text.as_str();
        while let Some((size, behind)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            data.push_str(&behind[..size]);
            rest = behind[size..].strip_prefix("\r\n").unwrap();
        }
        Ok(data)
    }

    #[test]
    fn data_is_the_same_wherever_the_input_is_cut() {
        let body = format!(
            "4;name=\"{}\"\r\nflag\r\n3 \r\nBR\n\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n",
            "x".repeat(300)
        );
        for piece in 1..body.len() {
            assert_eq!(data_of(&body, piece).unwrap(), "flagBR\n", "{piece}");
        }
    }

    #[test]
    fn what_follows_the_body_is_not_taken() {
        let mut output = Vec::new();
        let used = Chunks::new().take(b"0\r\n\r\nHTTP/1.1", &mut output);
        assert_eq!(used.unwrap(), 5);
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        for body in [
            "\r\n",
            "+4\r\nflag\r\n",
            "0x4\r\nflag\r\n",
            "4\nflag\r\n",
            "4;a\nb\r\nflag\r\n",
            "4 4\r\nflag\r\n",
            "4\r\nflags\r\n",
            "4\r\nflag\n",
            "4\r\nflag\r\r",
            "11111111111111111\r\n",
            "0\r\n\rx",
        ] {
            let taken = Chunks::new().take(body.as_bytes(), &mut Vec::new());
            assert!(taken.is_err(), "{body:?}");
        }
    }

    #[test]
    fn endless_extension_and_endless_trailers_are_refused() {
        for beginning in ["1;", "0\r\n"] {
            let mut chunks = Chunks::new();
            let output = &mut Vec::new();
            chunks.take(beginning.as_bytes(), output).unwrap();
            let endless = [b'x'; 1024];
            let outcome = (0..17).try_for_each(|_| chunks.take(&endless, output).map(drop));
            assert!(outcome.is_err(), "{beginning:?}");
        }
    }
}
