//! Arguments and results on their way to another process and back: errors name the
//! function, and a panic of foreign code fails its value alone.

use super::codec::{decode, encode, encode_onto};
use super::values::Values;
use crate::error::{CallError, JoinError, Panic};
use crate::unwind;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Decodes a result, whose type may panic over it.
#[cfg(feature = "cluster")]
pub(super) fn decoded<R: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<R, JoinError> {
    match unwind::catch(|| decode(bytes)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(cause)) => Err(result_error(name, cause)),
        Err(payload) => Err(panicked(payload)),
    }
}

/// Decodes results, whose type may panic over each of them.
pub(super) fn decode_each<R: DeserializeOwned>(
    name: &str,
    values: &mut dyn Iterator<Item = &[u8]>,
    results: &mut Vec<Result<R, JoinError>>,
) {
    loop {
        // One guard for all: it costs as much as the decoding of a number.
        let all = unwind::catch(|| {
            for bytes in &mut *values {
                results.push(decode(bytes).map_err(|cause| result_error(name, cause)));
            }
        });
        let Err(payload) = all else { return };
        results.push(Err(panicked(payload)));
    }
}

pub(super) fn panicked(payload: unwind::Payload) -> JoinError {
    JoinError::Panicked(Panic::new(payload))
}

/// Encodes the arguments of a chunk; those that cannot be encoded are told by their
/// place in it.
pub(super) fn encode_each<A: Serialize>(
    name: &str,
    chunk: Vec<A>,
) -> (Values, Vec<(usize, JoinError)>) {
    let mut values = Values::with_capacity(chunk.len());
    let mut failed = Vec::new();
    let (mut place, mut chunk) = (0, chunk.into_iter());
    // Kept here, so that the drop of one whose encoding panics is no second panic.
    let mut argument = None;
    loop {
        // One guard for all: it costs as much as the encoding of a number.
        let all = unwind::catch(|| {
            for next in chunk.by_ref() {
                let next = argument.insert(next);
                if let Err(cause) = values.push(|bytes| encode_onto(next, bytes)) {
                    failed.push((place, argument_error(name, cause)));
                }
                unwind::discard(argument.take());
                place += 1;
            }
        });
        let Err(payload) = all else {
            return (values, failed);
        };
        failed.push((place, panicked(payload)));
        unwind::discard(argument.take());
        place += 1;
    }
}

/// Encodes an argument, whose type may panic over it.
pub(super) fn encoded<A: Serialize>(name: &str, argument: &A) -> Result<Vec<u8>, JoinError> {
    unwind::catch(|| encode(argument).map_err(|cause| argument_error(name, cause)))
        .unwrap_or_else(|payload| Err(JoinError::Panicked(Panic::new(payload))))
}

fn argument_error(function: &str, cause: String) -> JoinError {
    JoinError::call(CallError::Encode {
        function: function.to_owned(),
        part: "argument",
        cause,
    })
}

pub(super) fn result_error(function: &str, cause: String) -> JoinError {
    JoinError::call(CallError::Decode {
        function: function.to_owned(),
        part: "result",
        cause,
    })
}
