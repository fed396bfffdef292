//! Arguments and results that are larger than a message may be: kept beside the
//! queue in chunks, which are removed when the call has ended.

use super::api::Api;
use super::refusal::Refusal;
use super::requests;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{AbortHandle, JoinSet};

/// The longest argument and the longest result.
pub(super) const LONGEST: usize = 1 << 30;

/// Chunks that are on their way at the same time.
const WINDOW: usize = 8;

/// Before what has failed is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// What a message may take besides its body.
const HEAD: usize = 4096;

/// The longest body that travels in its message.
pub(super) fn limit(max_payload: usize) -> usize {
    max_payload.saturating_sub(HEAD).max(max_payload / 2)
}

/// Where a body is, in the head of its message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Large {
    /// Tells the bodies of one call apart.
    tag: String,
    length: usize,
    chunk: usize,
}

impl Large {
    pub(super) fn new(tag: &str, length: usize, limit: usize) -> Self {
        Self {
            tag: tag.to_owned(),
            length,
            chunk: (limit / 2).max(1),
        }
    }

    fn chunks(&self) -> usize {
        self.length.div_ceil(self.chunk)
    }
}

/// A task that ends with its owner.
pub(super) struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `future`, and tells its result.
pub(super) fn run<T: Send + 'static>(
    tell: UnboundedSender<T>,
    future: impl Future<Output = T> + Send + 'static,
) -> Running {
    let task = tokio::spawn(async move {
        // Nobody waits for it once the client ends.
        let _ = tell.send(future.await);
    });
    Running(task.abort_handle())
}

/// Stores a body; tries until it is there.
pub(super) async fn put(api: Api, submitter: String, number: u64, large: Large, body: Bytes) {
    while api.create_large(&submitter).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
    let mut chunks = JoinSet::new();
    for place in 0..large.chunks() {
        if chunks.len() >= WINDOW {
            chunks.join_next().await;
        }
        let start = place * large.chunk;
        let chunk = body.slice(start..large.length.min(start + large.chunk));
        let subject = api.names.chunk(&submitter, number, &large.tag, place);
        let api = api.clone();
        chunks.spawn(async move {
            while api.store(&subject, chunk.clone()).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    while chunks.join_next().await.is_some() {}
}

/// Reads a body.
///
/// # Errors
///
/// A [`Refusal`] if a part of it is not there, or the connection is lost.
pub(super) async fn get(
    api: Api,
    submitter: String,
    number: u64,
    large: Large,
) -> Result<Bytes, Refusal> {
    let read = |place| {
        let subject = api.names.chunk(&submitter, number, &large.tag, place);
        let (api, owner) = (api.clone(), submitter.clone());
        async move { Ok((place, api.load(&owner, &subject).await?)) }
    };
    let mut parts = requests::each(WINDOW, 0..large.chunks(), read).await?;
    parts.sort_unstable_by_key(|(place, _)| *place);
    let mut body = BytesMut::with_capacity(large.length);
    for (_, part) in parts {
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}
