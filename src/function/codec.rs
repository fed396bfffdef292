//! How arguments and results become bytes: `MessagePack` with named fields,
//! which tolerates that two programs differ by a field.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::io::{self, Write};

/// The error is the text of what went wrong, and where.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    encode_onto(value, &mut bytes)?;
    Ok(bytes)
}

/// Writes the value behind what is there; a failure leaves a part of it.
pub(crate) fn encode_onto<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    rmp_serde::encode::write_named(bytes, value).map_err(|error| encode_failure(value, &error))
}

/// Goes through the value again, to say where it fails.
#[cold]
fn encode_failure<T: Serialize>(value: &T, error: &rmp_serde::encode::Error) -> String {
    let mut place = serde_path_to_error::Track::new();
    let mut nowhere = rmp_serde::Serializer::new(io::sink()).with_struct_map();
    let again = value.serialize(serde_path_to_error::Serializer::new(
        &mut nowhere,
        &mut place,
    ));
    match again {
        Ok(()) => error.to_string(),
        Err(error) => located(&place.path(), &error),
    }
}

/// The path is that of the fields within the value, as in `pages[3].title`.
fn located(place: &serde_path_to_error::Path, error: &impl Display) -> String {
    if place.iter().next().is_some() {
        format!("{place}: {error}")
    } else {
        error.to_string()
    }
}

/// As [`encode`], if that makes no more than so many bytes and does not fail.
pub(super) fn encode_short<T: Serialize>(value: &T, most: usize) -> Option<Vec<u8>> {
    let mut short = Short {
        bytes: Vec::new(),
        most,
    };
    rmp_serde::encode::write_named(&mut short, value).ok()?;
    Some(short.bytes)
}

/// Refuses what is too long for it.
struct Short {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| decode_failure::<T>(bytes, &error))
}

/// Goes through the bytes again, to say where they fail.
#[cold]
fn decode_failure<T: DeserializeOwned>(bytes: &[u8], error: &rmp_serde::decode::Error) -> String {
    let mut bytes = rmp_serde::Deserializer::from_read_ref(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut bytes) {
        Ok(_) => error.to_string(),
        Err(error) => located(error.path(), error.inner()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserializer;
    use std::collections::BTreeMap;

    type Nested = BTreeMap<String, Vec<Odd>>;

    /// Crosses only if it is odd.
    #[derive(Debug)]
    struct Odd(u64);

    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 % 2 {
                0 => Err(serde::ser::Error::custom("it is even")),
                _ => serializer.serialize_u64(self.0),
            }
        }
    }

    impl<'de> serde::Deserialize<'de> for Odd {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match u64::deserialize(deserializer)? {
                even if even % 2 == 0 => Err(serde::de::Error::custom("it is even")),
                odd => Ok(Self(odd)),
            }
        }
    }

    #[test]
    fn a_failure_says_where_it_is() {
        let nested = |last| BTreeMap::from([("pages".to_owned(), vec![1, 3, last])]);
        let odd = |last| Nested::from([("pages".to_owned(), [1, 3, last].map(Odd).into())]);
        assert_eq!(encode(&odd(5)), encode(&nested(5)));
        assert_eq!(encode(&odd(4)).unwrap_err(), "pages[2]: it is even");
        let bytes = encode(&nested(4)).unwrap();
        assert_eq!(
            decode::<Nested>(&bytes).unwrap_err(),
            "pages[2]: it is even"
        );
        assert_eq!(encode(&Odd(2)).unwrap_err(), "it is even");
        assert_eq!(decode::<Odd>(&[2]).unwrap_err(), "it is even");
    }

    #[test]
    fn what_is_short_is_encoded_as_ever_and_what_is_long_is_not() {
        let text = "x".repeat(100);
        let bytes = encode(&text).unwrap();
        assert_eq!(encode_short(&text, bytes.len()), Some(bytes.clone()));
        assert_eq!(encode_short(&text, bytes.len() - 1), None);
        assert_eq!(encode_short(&Odd(2), 100), None);
    }
}
