//! The input of a map, cut into chunks, and their results.

use crate::error::{JoinError, Panic};
use crate::task::ScopedJoinHandle;
use crate::unwind;
use std::iter::Fuse;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

/// Tasks in flight unless [`buffer`](super::Map::buffer) says otherwise: enough
/// for any pool of blocking work, and bounded, for endless input.
const DEFAULT_BUFFER: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");

/// The results of one chunk.
pub(super) type Results<R> = Vec<Result<R, JoinError>>;

/// The work on one chunk, as a closure that can be submitted.
pub(super) type ChunkTask<'a, R> = Box<dyn FnOnce() -> Results<R> + Send + 'a>;

/// A chunk in flight, and how many items it holds.
pub(super) type Chunk<'a, R> = (usize, ScopedJoinHandle<'a, Results<R>>);

/// Submits one chunk.
type Submit<'a, T, R> = Box<dyn Fn(Vec<T>) -> ScopedJoinHandle<'a, Results<R>> + Send + 'a>;

/// Cuts the input into chunks and submits them.
pub(crate) struct Chunks<'a, I: Iterator, R> {
    pub(super) items: Fuse<I>,
    /// The chunk that is being read; kept here so that an input that panics
    /// loses nothing of it.
    pub(super) read: Vec<I::Item>,
    submit: Submit<'a, I::Item, R>,
    pub(super) chunk_size: NonZeroUsize,
    pub(super) buffer: NonZeroUsize,
    pub(super) submitted: usize,
}

impl<'a, I: Iterator, R> Chunks<'a, I, R> {
    pub(crate) fn new<'task, F>(
        items: I,
        function: F,
        submit: impl Fn(ChunkTask<'task, R>) -> ScopedJoinHandle<'task, Results<R>> + Send + 'a,
    ) -> Self
    where
        'task: 'a,
        I::Item: Send + 'task,
        F: Fn(I::Item) -> R + Send + Sync + 'task,
        R: Send + 'task,
    {
        Self::fallible(items, move |item| Ok(function(item)), submit)
    }

    /// As [`new`](Self::new), of a function that may itself say why an item has
    /// no result.
    pub(crate) fn fallible<'task, F>(
        items: I,
        function: F,
        submit: impl Fn(ChunkTask<'task, R>) -> ScopedJoinHandle<'task, Results<R>> + Send + 'a,
    ) -> Self
    where
        'task: 'a,
        I::Item: Send + 'task,
        F: Fn(I::Item) -> Result<R, JoinError> + Send + Sync + 'task,
        R: Send + 'task,
    {
        let function = Arc::new(function);
        Self {
            items: items.fuse(),
            read: Vec::new(),
            submit: Box::new(move |chunk| {
                let function = Arc::clone(&function);
                submit(Box::new(move || work(&*function, chunk)))
            }),
            chunk_size: NonZeroUsize::MIN,
            buffer: DEFAULT_BUFFER,
            submitted: 0,
        }
    }

    /// Reads one item, and submits the chunk if it is complete with it or if
    /// the input has ended.
    pub(super) fn read_one(&mut self) -> Read<'a, R> {
        if let Some(item) = self.items.next() {
            self.read.push(item);
            if self.read.len() < self.chunk_size.get() {
                return Read::Item;
            }
        }
        if self.read.is_empty() {
            return Read::End;
        }
        let chunk = std::mem::take(&mut self.read);
        self.submitted += 1;
        Read::Chunk((chunk.len(), (self.submit)(chunk)))
    }

    /// Whether the input says that it has no more items, without reading it.
    pub(super) fn is_at_end(&self) -> bool {
        self.read.is_empty() && self.items.size_hint().1 == Some(0)
    }
}

/// What came of reading one item.
pub(super) enum Read<'a, R> {
    /// A part of a chunk.
    Item,
    Chunk(Chunk<'a, R>),
    /// There was none: everything is submitted.
    End,
}

/// Whether a deadline, if there is one, has passed.
pub(super) fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Applies `function` to each item; a panic costs its own item only.
fn work<T, R>(function: impl Fn(T) -> Result<R, JoinError>, chunk: Vec<T>) -> Results<R> {
    chunk
        .into_iter()
        .map(|item| {
            unwind::catch(|| function(item))
                .unwrap_or_else(|payload| Err(JoinError::Panicked(Panic::new(payload))))
        })
        .collect()
}

/// The results of a chunk that is final, in the order of its items.
pub(super) struct Finished<R> {
    pub(super) results: std::vec::IntoIter<Result<R, JoinError>>,
}

impl<R> Finished<R> {
    pub(super) fn none() -> Self {
        Self {
            results: Vec::new().into_iter(),
        }
    }

    pub(super) fn of((items, handle): Chunk<'_, R>) -> Self {
        let results = handle.join().unwrap_or_else(|error| spread(&error, items));
        Self {
            results: results.into_iter(),
        }
    }
}

/// A chunk that was not run gives each of its items the reason.
fn spread<R>(error: &JoinError, items: usize) -> Results<R> {
    std::iter::repeat_with(|| match error {
        JoinError::Rejected(reason) => Err(JoinError::Rejected(reason.clone())),
        // Panics of the function are caught item by item.
        _ => Err(JoinError::Cancelled),
    })
    .take(items)
    .collect()
}

/// The bounds of what is here already and what the input still brings.
pub(super) fn bounds(here: usize, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
    (
        input.0.saturating_add(here),
        input.1.and_then(|upper| upper.checked_add(here)),
    )
}
