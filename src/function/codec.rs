//! How arguments and results become bytes: `MessagePack` with named fields,
//! which tolerates that two programs differ by a field.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The error is the text of what went wrong.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    rmp_serde::to_vec_named(value).map_err(|error| error.to_string())
}

/// Writes the value behind what is there; a failure leaves a part of it.
pub(super) fn encode_onto<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    rmp_serde::encode::write_named(bytes, value).map_err(|error| error.to_string())
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}
