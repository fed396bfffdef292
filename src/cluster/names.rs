//! How the subjects, the stream and the consumer of a queue are called.

/// The one consumer, which all workers of a queue share.
pub(super) const CONSUMER: &str = "workers";

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
        let mut words = subject.rsplit('.');
        let attempt = words.next()?.parse().ok()?;
        let call = words.next()?.parse().ok()?;
        (words.next()? == "stored").then_some((call, attempt))
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
    pub(super) fn large_stream(&self) -> String {
        format!("{}_large", self.stream)
    }

    /// All that is too large of all submitters.
    pub(super) fn large(&self) -> String {
        format!("{}.large.>", self.prefix)
    }

    /// All that is too large of one submitter.
    pub(super) fn large_of(&self, submitter: &str) -> String {
        format!("{}.large.{submitter}.>", self.prefix)
    }

    /// All that is too large of one call.
    pub(super) fn large_of_call(&self, submitter: &str, call: u64) -> String {
        format!("{}.large.{submitter}.{call}.>", self.prefix)
    }

    /// One chunk.
    pub(super) fn chunk(&self, submitter: &str, call: u64, tag: &str, place: usize) -> String {
        format!("{}.large.{submitter}.{call}.{tag}.{place}", self.prefix)
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
