//! What crosses between submitters and workers: the length of a head, the head,
//! and the argument or the result as it is.

use super::large::Large;
use crate::error::{CallError, Died, JoinError, Panic, TimedOut};
use crate::function::{Caller, decode, encode_onto};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

/// The head of a call.
///
/// Its names are short, as those of an answer: each call has them twice on its way, and
/// the server stores them.
#[derive(Serialize, Deserialize)]
pub(super) struct Call {
    /// Counts the calls of its submitter.
    #[serde(rename = "n")]
    pub(super) number: u64,
    #[serde(rename = "f")]
    pub(super) function: String,
    #[serde(rename = "v", default)]
    pub(super) version: u32,
    /// How many workers may die with it.
    #[serde(rename = "d")]
    pub(super) deliveries: u32,
    /// How many have, before this message was made.
    #[serde(rename = "x")]
    pub(super) lost: u32,
    /// Where the argument is, if it is not the body.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub(super) large: Option<Large>,
    /// The span in which it was made.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) caller: Option<Caller>,
    /// How long it may run.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<Duration>,
    /// The record of a durable call, by its number in the stream of records.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<u64>,
}

/// The head of what a worker tells a submitter.
#[derive(Serialize, Deserialize)]
pub(super) enum ToSubmitter {
    /// A call has ended.
    #[serde(rename = "A")]
    Answer {
        #[serde(rename = "n")]
        number: u64,
        /// Who is told that the answer has arrived, and by which number.
        #[serde(rename = "w")]
        worker: String,
        #[serde(rename = "s")]
        sequence: u64,
        #[serde(rename = "a")]
        answer: Answer,
        /// Where the result is, if it is not the body.
        #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
        large: Option<Large>,
    },
    /// The body is the messages of several answers; these are their lengths.
    Answers(Vec<usize>),
    /// A call was given back, and has another number in the stream.
    Moved { number: u64, from: u64, to: u64 },
    /// Its calls were removed from the queue, since it seemed to be dead.
    Purged,
    /// The answer to a durable call is in its record.
    Recorded(u64),
    /// Whoever has this name says so, to the reply subject.
    Present,
}

/// The head of what a submitter tells a worker.
#[derive(Serialize, Deserialize)]
pub(super) enum ToWorker {
    /// These answers have arrived.
    Arrived(Vec<u64>),
    /// Nobody has asked for these answers yet: they go into their records.
    Record(Vec<u64>),
    /// Says at once who it is.
    Announce,
    /// Nobody waits for these calls any more: all, if none is named.
    Cancel {
        submitter: String,
        numbers: Vec<u64>,
    },
}

/// What a worker says of itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Announcement {
    pub(super) worker: String,
    pub(super) host: String,
    pub(super) pid: u32,
    pub(super) slots: usize,
    /// How many calls it has.
    #[serde(default)]
    pub(super) held: usize,
    pub(super) functions: Vec<Served>,
    /// What it runs, and for how long.
    pub(super) running: Vec<(String, Duration)>,
}

/// A function that a worker has.
#[derive(Serialize, Deserialize)]
pub(super) struct Served {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: u32,
}

impl fmt::Display for Served {
    /// Without a version where none was set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            0 => f.write_str(&self.name),
            version => write!(f, "{} v{version}", self.name),
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The result is the body.
    #[serde(rename = "R")]
    Returned,
    /// Message, name of the thread, location.
    Panicked(String, Option<String>, Option<String>),
    Cancelled,
    /// Process id, signal, exit code, the end of its standard error.
    Died(u32, Option<i32>, Option<i32>, Option<String>),
    TimedOut(Duration),
    /// Function, part, cause.
    Encode(String, String, String),
    /// Function, part, cause.
    Decode(String, String, String),
    /// Function, program, the names that it knows.
    Unknown(String, String, Vec<String>),
    Start(String),
    WorkersLost(u32),
    /// The worker does not have the function; it has not ended.
    Unserved,
    /// Function, part, length, limit.
    TooLarge(String, String, usize, usize),
    /// What this version cannot tell better.
    Other(String),
}

impl Answer {
    /// Takes a result apart into the head and the body of its message.
    pub(super) fn of(result: Result<Vec<u8>, JoinError>) -> (Self, Vec<u8>) {
        let error = match result {
            Ok(body) => return (Self::Returned, body),
            Err(error) => error,
        };
        let answer = match error {
            JoinError::Panicked(panic) => Self::Panicked(
                panic.message().to_owned(),
                panic.thread_name().map(str::to_owned),
                panic.location().map(str::to_owned),
            ),
            JoinError::Cancelled => Self::Cancelled,
            JoinError::Died(died) => Self::Died(
                died.pid(),
                died.signal(),
                died.exit_code(),
                died.stderr().map(str::to_owned),
            ),
            JoinError::TimedOut(timed_out) => Self::TimedOut(timed_out.limit()),
            JoinError::WorkersLost(workers) => Self::WorkersLost(workers),
            JoinError::Call(error) => Self::failed(*error),
            other => Self::Other(other.to_string()),
        };
        (answer, Vec::new())
    }

    fn failed(error: CallError) -> Self {
        match error {
            CallError::Encode {
                function,
                part,
                cause,
            } => Self::Encode(function, part.to_owned(), cause),
            CallError::Decode {
                function,
                part,
                cause,
            } => Self::Decode(function, part.to_owned(), cause),
            CallError::Unknown {
                function,
                program,
                known,
            } => Self::Unknown(function, program, known),
            CallError::Start(cause) => Self::Start(cause),
            other @ CallError::Unserved { .. } => Self::Other(other.to_string()),
            CallError::TooLarge {
                function,
                part,
                bytes,
                limit,
            } => Self::TooLarge(function, part.to_owned(), bytes, limit),
        }
    }

    /// Puts the result together again.
    pub(super) fn into_result(self, body: Bytes) -> Result<Bytes, JoinError> {
        Err(match self {
            Self::Returned => return Ok(body),
            Self::Panicked(message, thread, location) => {
                JoinError::Panicked(Panic::elsewhere(message, thread, location))
            }
            // The submitter sends an unserved call again instead.
            Self::Cancelled | Self::Unserved => JoinError::Cancelled,
            Self::Died(pid, signal, code, stderr) => {
                // As the system encodes it.
                let status = signal.or(code.map(|code| code << 8)).unwrap_or(0);
                JoinError::Died(Died::new(pid, ExitStatus::from_raw(status), stderr))
            }
            Self::TimedOut(limit) => JoinError::TimedOut(TimedOut::new(limit)),
            Self::WorkersLost(workers) => JoinError::WorkersLost(workers),
            Self::Encode(function, part, cause) => JoinError::call(CallError::Encode {
                function,
                part: name_of(&part),
                cause,
            }),
            Self::Decode(function, part, cause) => JoinError::call(CallError::Decode {
                function,
                part: name_of(&part),
                cause,
            }),
            Self::Unknown(function, program, known) => JoinError::call(CallError::Unknown {
                function,
                program,
                known,
            }),
            Self::TooLarge(function, part, bytes, limit) => JoinError::call(CallError::TooLarge {
                function,
                part: name_of(&part),
                bytes,
                limit,
            }),
            Self::Start(cause) | Self::Other(cause) => JoinError::call(CallError::Start(cause)),
        })
    }
}

/// The part that a [`CallError`] names.
fn name_of(part: &str) -> &'static str {
    if part == "argument" {
        "argument"
    } else {
        "result"
    }
}

const LENGTH: usize = 4;

/// Room for most heads.
const SHORT: usize = 64;

/// Makes one message of a head and a body.
pub(super) fn pack(head: &impl Serialize, body: &[u8]) -> Result<Bytes, String> {
    let mut message = Vec::with_capacity(LENGTH + SHORT + body.len());
    message.extend_from_slice(&[0; LENGTH]);
    encode_onto(head, &mut message)?;
    let length = u32::try_from(message.len() - LENGTH).map_err(|error| error.to_string())?;
    if let Some(place) = message.first_chunk_mut() {
        *place = length.to_le_bytes();
    }
    message.extend_from_slice(body);
    Ok(message.into())
}

/// Takes a message apart, without a copy of its body.
pub(super) fn unpack<H: DeserializeOwned>(message: &Bytes) -> Result<(H, Bytes), String> {
    let (length, rest) = message
        .split_first_chunk::<LENGTH>()
        .ok_or("the message has no head")?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|error| error.to_string())?;
    let head = rest.get(..length).ok_or("the head is cut short")?;
    Ok((decode(head)?, message.slice(LENGTH + length..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let call = Call {
            number: u64::MAX,
            function: "square".to_owned(),
            version: 2,
            deliveries: 3,
            lost: 0,
            large: None,
            caller: None,
            timeout: None,
            record: None,
        };
        let message = pack(&call, b"body").unwrap();
        let (head, body) = unpack::<Call>(&message).unwrap();
        assert_eq!((head.number, &*head.function), (u64::MAX, "square"));
        assert_eq!(body, &b"body"[..]);
    }

    #[test]
    fn a_message_that_is_cut_short_is_an_error() {
        let message = pack(&(1, 2, 3), b"").unwrap();
        for length in 0..message.len() {
            assert!(unpack::<(u8, u8, u8)>(&message.slice(..length)).is_err());
        }
    }

    #[test]
    fn every_error_comes_out_as_it_went_in() {
        let function = || "f".to_owned();
        let errors = [
            JoinError::Cancelled,
            JoinError::Died(Died::new(7, ExitStatus::from_raw(9), Some("oh".to_owned()))),
            JoinError::Died(Died::new(7, ExitStatus::from_raw(3 << 8), None)),
            JoinError::TimedOut(TimedOut::new(Duration::from_millis(3))),
            JoinError::WorkersLost(3),
            JoinError::call(CallError::Encode {
                function: function(),
                part: "result",
                cause: "no".to_owned(),
            }),
            JoinError::call(CallError::Decode {
                function: function(),
                part: "argument",
                cause: "no".to_owned(),
            }),
            JoinError::call(CallError::Unknown {
                function: function(),
                program: "program".to_owned(),
                known: vec!["g".to_owned()],
            }),
            JoinError::call(CallError::Start("no memory".to_owned())),
        ];
        for error in errors {
            let text = format!("{error:?}");
            let (answer, _) = Answer::of(Err(error));
            let (answer, body) = unpack::<Answer>(&pack(&answer, b"").unwrap()).unwrap();
            assert_eq!(format!("{:?}", answer.into_result(body).unwrap_err()), text);
        }
    }
}
