//! [`Settings`]: what can be set on a map of either kind.

use crate::task::CancelToken;
use std::num::NonZeroUsize;

/// Tasks in flight unless [`buffer`](super::Map::buffer) says otherwise: enough
/// for any pool of blocking work, and bounded, for endless input.
const DEFAULT_BUFFER: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");

pub(super) struct Settings {
    /// Tasks in flight, results not yet taken included.
    pub(super) buffer: NonZeroUsize,
    /// Items a task.
    pub(super) chunk_size: NonZeroUsize,
    /// Cancelled when the map is dropped.
    pub(super) token: Option<CancelToken>,
}

impl Settings {
    pub(super) fn new() -> Self {
        Self {
            buffer: DEFAULT_BUFFER,
            chunk_size: NonZeroUsize::MIN,
            token: None,
        }
    }

    pub(super) fn set_buffer(&mut self, tasks: usize) {
        self.buffer = NonZeroUsize::new(tasks).expect("buffer is at least one task");
    }

    pub(super) fn set_chunk_size(&mut self, items: usize) {
        self.chunk_size = NonZeroUsize::new(items).expect("chunk_size is at least one item");
    }
}
