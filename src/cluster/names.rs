//! How the subjects, the stream and the consumer of a queue are called.

use std::str::FromStr;

/// The one consumer, which all workers of a queue share.
pub(super) const CONSUMER: &str = "workers";

/// What the id of a submitter with a durable name begins with; no other id has a
/// character that is neither letter nor digit.
const DURABLE: &str = "durable_";

/// What the names of the streams beside a queue end in.
const LARGE: &str = "_large";
const LARGE_DURABLE: &str = "_large_durable";
const RECORDS: &str = "_records";

/// Returns the queue beside which the server keeps a stream with the name of this one,
/// and the ending that makes it so.
pub(super) fn beside(queue: &str) -> Option<(&str, &'static str)> {
    let ending = |ending| Some((queue.strip_suffix(ending)?, ending));
    [LARGE, LARGE_DURABLE, RECORDS].into_iter().find_map(ending)
}

/// The id of the submitters of a durable name.
pub(super) fn durable(name: &str) -> String {
    format!("{DURABLE}{name}")
}

/// Says whether a submitter has a durable name.
pub(super) fn is_durable(submitter: &str) -> bool {
    submitter.starts_with(DURABLE)
}

/// Reads the number and the last word of a receipt's subject, such as
/// `….stored.7.0`.
fn read_receipt<T: FromStr>(subject: &str, kind: &str) -> Option<(u64, T)> {
    let mut words = subject.rsplit('.');
    let last = words.next()?.parse().ok()?;
    let number = words.next()?.parse().ok()?;
    (words.next()? == kind).then_some((number, last))
}

/// The names of one queue.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) stream: String,
    prefix: String,
}

impl Names {
    pub(super) fn new(queue: &str) -> Self {
        Self {
            stream: format!("as_completed_{queue}"),
            prefix: format!("as_completed.{queue}"),
        }
    }

    /// Every call that waits or runs: what the stream holds.
    pub(super) fn calls(&self) -> String {
        format!("{}.call.*", self.prefix)
    }

    /// The calls of one submitter.
    pub(super) fn calls_of(&self, submitter: &str) -> String {
        format!("{}.call.{submitter}", self.prefix)
    }

    /// All that is sent to one submitter.
    pub(super) fn of_submitter(&self, id: &str) -> String {
        format!("{}.submitter.{id}.>", self.prefix)
    }

    /// From the workers to a submitter.
    pub(super) fn to_submitter(&self, id: &str) -> String {
        format!("{}.submitter.{id}.told", self.prefix)
    }

    /// From the server to a submitter: a call was stored, or why it was not.
    pub(super) fn stored(&self, id: &str, call: u64, attempt: u32) -> String {
        format!("{}.submitter.{id}.stored.{call}.{attempt}", self.prefix)
    }

    /// Reads back the call and the attempt.
    pub(super) fn read_stored(subject: &str) -> Option<(u64, u32)> {
        read_receipt(subject, "stored")
    }

    /// The stream of the records of durable calls.
    pub(super) fn records_stream(&self) -> String {
        format!("{}{RECORDS}", self.stream)
    }

    /// The records of all durable calls.
    pub(super) fn records(&self) -> String {
        format!("{}.record.*.*", self.prefix)
    }

    /// The records of one submitter's calls.
    pub(super) fn records_of(&self, submitter: &str) -> String {
        format!("{}.record.{submitter}.*", self.prefix)
    }

    /// The record of one call.
    pub(super) fn record(&self, submitter: &str, call: u64) -> String {
        format!("{}.record.{submitter}.{call}", self.prefix)
    }

    /// From the server to a submitter: a record was stored, or why it was not.
    pub(super) fn recorded(&self, id: &str, call: u64, attempt: u32) -> String {
        format!("{}.submitter.{id}.recorded.{call}.{attempt}", self.prefix)
    }

    /// Reads back the call and the attempt.
    pub(super) fn read_recorded(subject: &str) -> Option<(u64, u32)> {
        read_receipt(subject, "recorded")
    }

    /// From the server to a worker: the answer to the call with this number in
    /// the stream is in its record, or why it is not.
    pub(super) fn answer_recorded(&self, id: &str, call: u64, sequence: u64) -> String {
        format!("{}.worker.{id}.recorded.{call}.{sequence}", self.prefix)
    }

    /// Reads back the call and its number in the stream.
    pub(super) fn read_answer_recorded(subject: &str) -> Option<(u64, u64)> {
        read_receipt(subject, "recorded")
    }

    /// All that is sent to one worker, pulled messages included.
    pub(super) fn of_worker(&self, id: &str) -> String {
        format!("{}.worker.{id}.>", self.prefix)
    }

    /// From the submitters to a worker.
    pub(super) fn to_worker(&self, id: &str) -> String {
        format!("{}.worker.{id}.told", self.prefix)
    }

    /// To where a worker pulls messages.
    pub(super) fn pulled(&self, id: &str, pull: u64) -> String {
        format!("{}.worker.{id}.pulled.{pull}", self.prefix)
    }

    /// Reads the submitter out of a subject of [`calls_of`](Self::calls_of).
    pub(super) fn read_call<'s>(&self, subject: &'s str) -> Option<&'s str> {
        subject.strip_prefix(&*self.prefix)?.strip_prefix(".call.")
    }

    /// The stream of what is too large for a message.
    pub(super) fn large_stream(&self, submitter: &str) -> String {
        let ending = if is_durable(submitter) {
            LARGE_DURABLE
        } else {
            LARGE
        };
        format!("{}{ending}", self.stream)
    }

    /// What the subjects of a submitter's large bodies begin with.
    fn large_prefix(&self, submitter: &str) -> String {
        let durable = if is_durable(submitter) {
            "_durable"
        } else {
            ""
        };
        format!("{}.large{durable}", self.prefix)
    }

    /// All that is too large of all submitters that are as this one.
    pub(super) fn large(&self, submitter: &str) -> String {
        format!("{}.>", self.large_prefix(submitter))
    }

    /// All that is too large of one submitter.
    pub(super) fn large_of(&self, submitter: &str) -> String {
        format!("{}.{submitter}.>", self.large_prefix(submitter))
    }

    /// All that is too large of one call.
    pub(super) fn large_of_call(&self, submitter: &str, call: u64) -> String {
        format!("{}.{submitter}.{call}.>", self.large_prefix(submitter))
    }

    /// One chunk.
    pub(super) fn chunk(&self, submitter: &str, call: u64, tag: &str, place: usize) -> String {
        let prefix = self.large_prefix(submitter);
        format!("{prefix}.{submitter}.{call}.{tag}.{place}")
    }

    /// Says that a call, which may have killed workers, has started alone.
    pub(super) fn mark(&self, submitter: &str, call: u64) -> String {
        self.chunk(submitter, call, "alone", 0)
    }

    /// To all workers.
    pub(super) fn workers(&self) -> String {
        format!("{}.workers", self.prefix)
    }

    /// The submitters say here that they live.
    pub(super) fn alive(&self) -> String {
        format!("{}.alive", self.prefix)
    }

    /// The workers say here who they are and what they do.
    pub(super) fn announcements(&self) -> String {
        format!("{}.announcements", self.prefix)
    }

    /// From where messages are pulled.
    pub(super) fn next(&self) -> String {
        format!("$JS.API.CONSUMER.MSG.NEXT.{}.{CONSUMER}", self.stream)
    }
}
