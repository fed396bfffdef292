//! The input of a map, cut into chunks, and their results.

use super::input::{Input, Read};
use super::settings::Settings;
use crate::error::{JoinError, Panic, Rejected};
use crate::task::{ErasedTask, FullQueues, Refused, Room, ScopedJoinHandle, Work, launch, offer};
use crate::unwind;
use std::sync::Arc;

/// The results of one chunk.
pub(crate) type Results<R> = Vec<Result<R, JoinError>>;

/// A chunk in flight, and how many items it holds.
pub(super) type Chunk<'a, R> = (usize, ScopedJoinHandle<'a, Results<R>>);

/// Submits one chunk, or gives it back with the reason if it may not wait for
/// room.
type Submit<'a, T, R> = Box<
    dyn Fn(Vec<T>, Room) -> Result<ScopedJoinHandle<'a, Results<R>>, (Vec<T>, Rejected)>
        + Send
        + 'a,
>;

/// Cuts the input into chunks and submits them.
pub(crate) struct Chunks<'a, I: Iterator, R> {
    pub(super) input: Input<I>,
    pub(super) settings: Settings,
    /// The chunk that is being read; kept here so that neither an input that
    /// panics nor a full queue loses anything of it.
    read: Vec<I::Item>,
    /// How many items the last chunk had: room for as many is made at once.
    room: usize,
    submit: Submit<'a, I::Item, R>,
    submitted: usize,
    /// Why the input could not be read; reported after the results.
    failure: Option<JoinError>,
}

/// What came of submitting the chunk that has been read.
pub(super) enum Submitted<'a, R> {
    Chunk(Chunk<'a, R>),
    /// These queues are full; the chunk is kept.
    QueueFull(FullQueues),
}

/// What a map does with a chunk, and the chunk.
struct ChunkWork<F, T> {
    function: Arc<F>,
    chunk: Vec<T>,
}

impl<F, T, R> Work<Results<R>> for ChunkWork<F, T>
where
    F: Fn(Vec<T>) -> Results<R>,
{
    fn work(self) -> Result<Results<R>, JoinError> {
        Ok((self.function)(self.chunk))
    }
}

/// Applies the function to each item; a panic costs its own item only.
fn apply_to_each<T, R>(function: impl Fn(T) -> R, chunk: Vec<T>) -> Results<R> {
    let apply = |item| {
        unwind::catch(|| function(item)).map_err(|payload| JoinError::Panicked(Panic::new(payload)))
    };
    chunk.into_iter().map(apply).collect()
}

impl<'a, I: Iterator, R> Chunks<'a, I, R> {
    pub(crate) fn new<'task, F>(
        items: I,
        function: F,
        execute: impl Fn(ErasedTask<'task>, Room) -> Result<(), Refused<'task>> + Send + 'a,
    ) -> Self
    where
        'task: 'a,
        I::Item: Send + 'task,
        F: Fn(I::Item) -> R + Send + Sync + 'task,
        R: Send + 'task,
    {
        Self::by_chunk(items, move |chunk| apply_to_each(&function, chunk), execute)
    }

    /// As [`new`](Self::new), of a function that is given whole chunks, and
    /// returns as many results as it was given items.
    pub(crate) fn by_chunk<'task, F>(
        items: I,
        function: F,
        execute: impl Fn(ErasedTask<'task>, Room) -> Result<(), Refused<'task>> + Send + 'a,
    ) -> Self
    where
        'task: 'a,
        I::Item: Send + 'task,
        F: Fn(Vec<I::Item>) -> Results<R> + Send + Sync + 'task,
        R: Send + 'task,
    {
        let function = Arc::new(function);
        Self::handed_on(items, move |chunk, room| {
            let function = Arc::clone(&function);
            let work = ChunkWork { function, chunk };
            match room {
                Room::Wait => Ok(launch(work, (), |task| execute(task, room))),
                Room::Now => offer(work, (), |task| execute(task, room)).map_err(|error| {
                    let reason = error.reason().clone();
                    (error.into_closure().chunk, reason)
                }),
            }
        })
    }

    /// As [`new`](Self::new), with chunks that are handed on as they are, or
    /// given back with the reason if there is no room and `Room` says not to wait.
    pub(crate) fn handed_on(
        items: I,
        submit: impl Fn(
            Vec<I::Item>,
            Room,
        ) -> Result<ScopedJoinHandle<'a, Results<R>>, (Vec<I::Item>, Rejected)>
        + Send
        + 'a,
    ) -> Self {
        Self {
            input: Input::new(items),
            settings: Settings::new(),
            read: Vec::new(),
            room: 0,
            submit: Box::new(submit),
            submitted: 0,
            failure: None,
        }
    }

    /// Reads one item into the chunk, if the input has it. An input that cannot be
    /// read has ended.
    #[inline]
    pub(super) fn read_item(&mut self) -> Read<()> {
        let Some(items) = self.input.here() else {
            return self.read_from_background();
        };
        match items.next() {
            Some(item) => self.add(item),
            None => Read::End,
        }
    }

    #[inline]
    fn add(&mut self, item: I::Item) -> Read<()> {
        if self.read.is_empty() {
            self.read.reserve_exact(self.room);
        }
        self.read.push(item);
        Read::Item(())
    }

    fn read_from_background(&mut self) -> Read<()> {
        match self.input.read_from_background() {
            Ok(Read::Item(item)) => self.add(item),
            Ok(Read::NotYet) => Read::NotYet,
            Ok(Read::End) => Read::End,
            Err(error) => {
                self.failure = Some(JoinError::Rejected(Rejected::Thread(error)));
                Read::End
            }
        }
    }

    /// Why the input could not be read, once.
    pub(super) fn take_failure(&mut self) -> Option<JoinError> {
        self.failure.take()
    }

    /// Has a thread of its own read the input from now on.
    pub(super) fn read_in_background(&mut self)
    where
        I: Send + 'static,
        I::Item: Send + 'static,
    {
        self.input.read_in_background();
    }

    /// How many items are read and not submitted.
    pub(super) fn unsubmitted(&self) -> usize {
        self.read.len()
    }

    /// Whether as many items are read as make a chunk.
    pub(super) fn is_complete(&self) -> bool {
        self.read.len() >= self.settings.chunk_size.get()
    }

    /// Submits what has been read.
    pub(super) fn submit(&mut self, room: Room) -> Submitted<'a, R> {
        let chunk = std::mem::take(&mut self.read);
        let items = chunk.len();
        self.room = items;
        let (offered, full) = FullQueues::of(|| (self.submit)(chunk, room));
        let handle = match offered {
            Ok(handle) => handle,
            Err((chunk, Rejected::QueueFull)) => {
                self.read = chunk;
                return Submitted::QueueFull(full);
            }
            // Another attempt gives each item the reason.
            Err((chunk, _)) => match (self.submit)(chunk, Room::Wait) {
                Ok(handle) => handle,
                Err(_) => unreachable!("a submission that waits gives nothing back"),
            },
        };
        self.submitted += 1;
        Submitted::Chunk((items, handle))
    }

    /// How many chunks have been submitted.
    pub(super) fn submitted(&self) -> usize {
        self.submitted
    }

    /// Whether the input says that it has no more items, without reading it.
    pub(super) fn is_at_end(&self) -> bool {
        self.read.is_empty() && self.failure.is_none() && self.input.size_hint().1 == Some(0)
    }
}

/// The results of a chunk that is final, in the order of its items.
pub(super) struct Finished<R> {
    results: std::vec::IntoIter<Result<R, JoinError>>,
}

impl<R> Finished<R> {
    pub(super) fn none() -> Self {
        Self::new(Vec::new())
    }

    pub(super) fn new(results: Results<R>) -> Self {
        Self {
            results: results.into_iter(),
        }
    }

    pub(super) fn of((items, handle): Chunk<'_, R>) -> Self {
        Self::new(handle.join().unwrap_or_else(|error| spread(&error, items)))
    }

    pub(super) fn next(&mut self) -> Option<Result<R, JoinError>> {
        self.results.next()
    }

    pub(super) fn len(&self) -> usize {
        self.results.len()
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
