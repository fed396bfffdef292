//! [`Found`]: what requests to the server have found, and what is done about it.

use super::Submitter;
use super::durable::Listing;
use super::places::Sought;
use super::watch::Consumer;
use crate::cluster::error::ClusterError;
use crate::cluster::refusal::Refusal;
use crate::cluster::status::ClusterStatus;
use crate::error::{JoinError, Rejected};
use crate::sync::Sender;
use bytes::Bytes;
use std::collections::HashMap;

/// What has been found at the server, beside the loop.
pub(super) enum Found {
    /// The stream, made at this time.
    Stream(String),
    /// The calls that are not there any more under the number they had; nothing, if the
    /// server did not answer.
    Looked(Option<Vec<(u64, u64)>>),
    /// How many calls the queue has, and who asks.
    Calls(
        Result<u64, Refusal>,
        Sender<Result<ClusterStatus, ClusterError>>,
    ),
    /// What the consumer does, from which the workers have their calls.
    Consumer(Consumer),
    /// The argument of a call is stored.
    Put(u64),
    /// The result of a call, or why it could not be read.
    Got {
        number: u64,
        /// Who has sent the answer, and under which number; if it was not read.
        worker: Option<(String, u64)>,
        result: Result<Bytes, Refusal>,
    },
    /// The record of a call was taken, by this submitter or by another.
    Taken {
        number: u64,
        worker: Option<(String, u64)>,
        result: Result<Bytes, JoinError>,
    },
    /// The record of a call, under its number in the stream.
    Record {
        number: u64,
        record: Option<(u64, Bytes)>,
        is_gone: bool,
    },
    /// What earlier submitters of this name have left.
    Listing(Listing),
    /// The calls of this name in the queue, and their numbers in the stream.
    Places(HashMap<u64, u64>),
    /// The calls whose receipts were lost, and where those of this submitter are.
    Sent(Sought, HashMap<u64, u64>),
}

impl Submitter {
    pub(super) async fn found(&mut self, find: Found) {
        match find {
            Found::Stream(created) => self.found_stream(created),
            Found::Looked(gone) => self.looked(gone),
            Found::Calls(calls, status) => {
                let failed = |refusal: Refusal| ClusterError::Unreachable {
                    server: self.connection.settings.server(),
                    cause: refusal.text(),
                };
                let _ = status.send(calls.map(|calls| self.status(calls)).map_err(failed));
            }
            Found::Consumer(consumer) => self.found_consumer(consumer),
            Found::Put(number) => {
                if let Some(pending) = self.calls.get_mut(&number) {
                    pending.task = None;
                    self.waiting.push_back(number);
                }
            }
            Found::Got {
                number,
                worker,
                result,
            } => {
                if let Some(pending) = self.calls.get_mut(&number) {
                    pending.task = None;
                }
                match (result, worker) {
                    (Ok(result), worker) => {
                        self.answered(number, worker, Ok(result));
                        self.acknowledge().await;
                    }
                    // The worker repeats its answer.
                    (Err(_), Some(_)) => {}
                    (Err(refusal), None) if refusal.may_pass() => {
                        self.read_record(number, false);
                    }
                    (Err(_), None) => {
                        self.settle(number, Err(JoinError::Rejected(Rejected::Lost)));
                    }
                }
            }
            Found::Taken {
                number,
                worker,
                result,
            } => self.taken(number, worker, result).await,
            Found::Record {
                number,
                record,
                is_gone,
            } => self.found_record(number, record, is_gone),
            Found::Listing(listing) => self.listed(listing),
            Found::Places(places) => self.found_places(&places),
            Found::Sent(sought, places) => self.found_sent(&sought, &places),
        }
    }
}
