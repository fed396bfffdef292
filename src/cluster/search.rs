//! The calls of one submitter, wherever they are in the queue.

use super::api::{AGAIN, Api};
use super::refusal::{NO_STREAM, Refusal};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// In how many parts a stream is searched at the same time.
const PARTS: u64 = 64;

impl Api {
    /// Does something for each call of a submitter in the queue, or for those `after` a
    /// number of the stream that was made at that time, or for those `before` one; and
    /// returns what it has made.
    ///
    /// The server finds one call at a time, from a number on. So the stream is searched
    /// in many parts at the same time, and then from its end on: a call that is given back
    /// meanwhile is stored again, behind all others, before it is removed.
    pub(super) async fn each_call<T, F>(
        &self,
        submitter: &str,
        after: Option<&(String, u64)>,
        before: Option<u64>,
        each: impl Fn(Self, u64, Bytes) -> F + Copy + Send + Sync + 'static,
    ) -> Result<Vec<T>, Refusal>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let stream = self.stream().await?;
        // One that an administrator has made may not be read so.
        let is_direct = stream["config"]["allow_direct"] == true;
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let (first, last) = (&stream["state"]["first_seq"], &stream["state"]["last_seq"]);
        let (mut first, end) = (number(first).max(1), number(last) + 1);
        if let Some((created, after)) = after {
            let now = stream["created"].to_string();
            if now == *created {
                first = first.max(after + 1);
            }
        }
        let end = before.map_or(end, |before| end.min(before)).max(first);
        let length = end.saturating_sub(first).div_ceil(PARTS).max(1);
        let mut parts = JoinSet::new();
        let mut from = first;
        while from < end {
            let to = end.min(from + length);
            parts.spawn(self.clone().each_between(
                submitter.to_owned(),
                is_direct,
                from,
                Some(to),
                each,
            ));
            from = to;
        }
        let mut made = Vec::new();
        while let Some(part) = parts.join_next().await {
            made.extend(part.map_err(|error| Refusal::Lost(error.to_string()))??);
        }
        let rest = self.clone();
        made.extend(
            rest.each_between(submitter.to_owned(), is_direct, end, before, each)
                .await?,
        );
        Ok(made)
    }

    async fn each_between<T, F>(
        self,
        submitter: String,
        is_direct: bool,
        mut from: u64,
        to: Option<u64>,
        each: impl Fn(Self, u64, Bytes) -> F,
    ) -> Result<Vec<T>, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let mut made = Vec::new();
        while to.is_none_or(|to| from < to) {
            let Some((sequence, message)) = self.next_call(&submitter, is_direct, from).await?
            else {
                break;
            };
            if to.is_some_and(|to| sequence >= to) {
                break;
            }
            made.push(each(self.clone(), sequence, message).await?);
            from = sequence + 1;
        }
        Ok(made)
    }

    /// Returns the next call of a submitter in the queue, from a number on.
    async fn next_call(
        &self,
        submitter: &str,
        is_direct: bool,
        from: u64,
    ) -> Result<Option<(u64, Bytes)>, Refusal> {
        let which = json!({ "seq": from, "next_by_subj": self.names.calls_of(submitter) });
        let stream = &self.names.stream;
        if is_direct {
            self.find(stream, &which).await
        } else {
            self.find_at_leader(stream, &which).await
        }
    }

    /// Takes all calls of one submitter out of the queue, or those before one.
    ///
    /// One by one: when a server of version 2.9 is asked to purge one subject, the
    /// consumer skips the waiting messages of all others, and forgets who has which.
    pub(super) async fn purge(&self, submitter: &str, before: Option<u64>) -> Result<(), Refusal> {
        let delete = |api: Self, sequence, _| async move {
            match api.delete(sequence).await {
                // It had gone before.
                Ok(()) | Err(Refusal::Server { .. }) => Ok(()),
                Err(refusal) => Err(refusal),
            }
        };
        self.each_call(submitter, None, before, delete)
            .await
            .map(drop)
    }

    /// Takes all calls of one submitter out of the queue; tries until they are, for a
    /// group of servers may be without a leader at the moment.
    pub(super) async fn purge_at_last(&self, submitter: &str) {
        while self.purge(submitter, None).await.is_err() {
            if let Err(Refusal::Server {
                code: NO_STREAM, ..
            }) = self.stream().await
            {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
