//! [`Sum`]: the checksum that a file is to have.

use super::error::DownloadErrorKind;
use sha2::{Digest, Sha256, Sha512};

/// The checksum that a file is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sum {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

impl Sum {
    pub(super) fn sha256(text: &str) -> Option<Self> {
        parse(text).map(Self::Sha256)
    }

    pub(super) fn sha512(text: &str) -> Option<Self> {
        parse(text).map(Self::Sha512)
    }

    /// Returns a hasher of the same kind.
    pub(super) fn hasher(&self) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Sha512(_) => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }
}

/// Computes the checksum of a file.
pub(super) enum Hasher {
    Sha256(Sha256),
    /// Boxed, since it is large.
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Looks whether the checksum is the one required.
    pub(super) fn check(self, expected: &Sum) -> Result<(), DownloadErrorKind> {
        match (self, expected) {
            (Self::Sha256(hasher), Sum::Sha256(expected)) => {
                let actual: [u8; 32] = hasher.finalize().into();
                if actual == *expected {
                    return Ok(());
                }
                Err(DownloadErrorKind::Sha256 {
                    expected: to_hex(expected),
                    actual: to_hex(&actual),
                })
            }
            (Self::Sha512(hasher), Sum::Sha512(expected)) => {
                let actual: [u8; 64] = hasher.finalize().into();
                if actual == *expected {
                    return Ok(());
                }
                Err(DownloadErrorKind::Sha512 {
                    expected: to_hex(expected),
                    actual: to_hex(&actual),
                })
            }
            _ => unreachable!("a hasher is made by the sum that it is checked against"),
        }
    }
}

fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut sum = [0; N];
    for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
    }
    Some(sum)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_512: &str = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn sums_are_read_in_either_case() {
        let sum = Sum::sha256(EMPTY_256).unwrap();
        assert_eq!(Sum::sha256(&EMPTY_256.to_uppercase()), Some(sum.clone()));
        assert!(sum.hasher().check(&sum).is_ok());
        let sum = Sum::sha512(EMPTY_512).unwrap();
        assert!(sum.hasher().check(&sum).is_ok());
        let mut other = sum.hasher();
        other.update(b"x");
        assert!(matches!(
            other.check(&sum),
            Err(DownloadErrorKind::Sha512 { expected, .. }) if expected == EMPTY_512
        ));
    }

    #[test]
    fn sums_of_another_length_or_alphabet_are_refused() {
        for text in [
            "",
            &"0".repeat(63),
            &"g".repeat(64),
            &"é".repeat(32),
            EMPTY_512,
        ] {
            assert_eq!(Sum::sha256(text), None, "{text}");
        }
        for text in ["", EMPTY_256, &"g".repeat(128), &"é".repeat(64)] {
            assert_eq!(Sum::sha512(text), None, "{text}");
        }
    }
}
