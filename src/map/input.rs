//! [`Input`]: the items of a map, read by the thread that takes the results or
//! by one of their own.

use crate::error::SpawnError;
use crate::sync::{self, Receiver, RecvTimeoutError, Sender, unbounded};
use crate::task::{Completions, ScopedJoinHandle};
use crate::unwind::{self, Payload};
use std::io;
use std::iter::Fuse;
use std::sync::Arc;
use std::time::Instant;

/// Where the items come from.
pub(super) struct Input<I: Iterator> {
    /// `None` once a thread in the background has them.
    items: Option<Fuse<I>>,
    background: Option<Background<I>>,
}

/// What came of reading one item.
pub(super) enum Read<T> {
    Item(T),
    /// The thread in the background is still reading it.
    NotYet,
    End,
}

impl<I: Iterator> Input<I> {
    pub(super) fn new(items: I) -> Self {
        Self {
            items: Some(items.fuse()),
            background: None,
        }
    }

    /// Has a thread of its own read what has not been read.
    pub(super) fn read_in_background(&mut self)
    where
        I: Send + 'static,
        I::Item: Send + 'static,
    {
        self.background.get_or_insert_with(Background::new);
    }

    /// The items, if they are not read in the background: each read blocks for as long as
    /// the input does.
    #[inline]
    pub(super) fn here(&mut self) -> Option<&mut Fuse<I>> {
        match &self.background {
            Some(_) => None,
            None => self.items.as_mut(),
        }
    }

    /// Reads one item of an input in the background, without blocking: it is asked for
    /// the item, and sends an event when it has come.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started; the input is lost.
    pub(super) fn read_from_background(&mut self) -> Result<Read<I::Item>, SpawnError> {
        match &mut self.background {
            Some(background) => background.read(&mut self.items),
            None => Ok(Read::End),
        }
    }

    /// What is known of the number of items to come, without reading any.
    pub(super) fn size_hint(&self) -> (usize, Option<usize>) {
        match (&self.items, &self.background) {
            (Some(items), _) => items.size_hint(),
            (None, Some(background)) if !background.is_over => (0, None),
            (None, _) => (0, Some(0)),
        }
    }

    /// As [`read_in_background`](Self::read_in_background), where no thread can be
    /// started.
    #[cfg(all(test, not(as_completed_loom)))]
    pub(super) fn read_in_vain(&mut self)
    where
        I: Send + 'static,
        I::Item: Send + 'static,
    {
        self.read_in_background();
        if let Some(background) = &mut self.background {
            background.start = |_, _| Err(io::ErrorKind::WouldBlock.into());
        }
    }

    /// The thread that reads, if there is one to wait for.
    pub(super) fn background(&self) -> Option<&Background<I>> {
        self.background.as_ref()
    }
}

/// The taker's end of a thread that reads one item whenever it is asked.
///
/// So it is as lazy as the other way of reading: there is one item more than
/// wanted at most, the one that is being read.
pub(super) struct Background<I: Iterator> {
    start: Start<I>,
    /// `None` until the first request starts it.
    thread: Option<Thread<I::Item>>,
    is_over: bool,
    /// Where the thread, and tasks whose results are wanted, send an event.
    completions: Arc<Completions>,
    events: Receiver<u32>,
}

/// Starts a thread that reads; made where the items are known to be `Send`.
type Start<I> = fn(Fuse<I>, Arc<Completions>) -> io::Result<Thread<<I as Iterator>::Item>>;

/// A thread that reads one item a request.
struct Thread<T> {
    /// Dropped with the map, which ends the thread.
    requests: Sender<()>,
    answers: Receiver<Answer<T>>,
    /// Whether an item was requested that has not come.
    is_reading: bool,
}

enum Answer<T> {
    Item(T),
    End,
    Panicked(Payload),
}

/// Starts the thread. It is not joined: nobody can cut the read of an input
/// short.
fn start<I>(mut input: Fuse<I>, completions: Arc<Completions>) -> io::Result<Thread<I::Item>>
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    let (requests, requested) = unbounded();
    let (sender, answers) = unbounded();
    let body = move || {
        while requested.recv().is_ok() {
            let answer = match unwind::catch(|| input.next()) {
                Ok(Some(item)) => Answer::Item(item),
                Ok(None) => Answer::End,
                Err(payload) => Answer::Panicked(payload),
            };
            let is_over = matches!(answer, Answer::End);
            // Nobody takes it if the map is gone.
            unwind::discard(sender.send(answer));
            completions.nudge();
            if is_over {
                break;
            }
        }
        unwind::discard(input);
    };
    sync::spawn("map-input".to_owned(), None, body)?;
    Ok(Thread {
        requests,
        answers,
        is_reading: false,
    })
}

impl<I: Iterator> Background<I> {
    fn new() -> Self
    where
        I: Send + 'static,
        I::Item: Send + 'static,
    {
        let (sender, events) = unbounded();
        Self {
            start,
            thread: None,
            is_over: false,
            completions: Arc::new(Completions::new(sender)),
            events,
        }
    }

    fn read(&mut self, items: &mut Option<Fuse<I>>) -> Result<Read<I::Item>, SpawnError> {
        if let Some(items) = items.take() {
            match (self.start)(items, Arc::clone(&self.completions)) {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => {
                    self.is_over = true;
                    return Err(SpawnError::new(error));
                }
            }
        }
        let Some(thread) = self.thread.as_mut().filter(|_| !self.is_over) else {
            return Ok(Read::End);
        };
        let Ok(answer) = thread.answers.try_recv() else {
            if !thread.is_reading {
                thread.is_reading = true;
                // The thread is there until it has sent the end.
                let _ = thread.requests.send(());
            }
            return Ok(Read::NotYet);
        };
        thread.is_reading = false;
        match answer {
            Answer::Item(item) => Ok(Read::Item(item)),
            Answer::End => {
                self.is_over = true;
                Ok(Read::End)
            }
            Answer::Panicked(payload) => std::panic::resume_unwind(payload),
        }
    }

    /// Has the task send an event when it is final.
    ///
    /// By a callback, which runs when the task is seen to be final: what is sent to
    /// an `AsCompleted` is sent a moment before.
    pub(super) fn watch<R>(&self, handle: &ScopedJoinHandle<'_, R>) {
        let completions = Arc::clone(&self.completions);
        handle.on_done(move |_| completions.nudge());
    }

    /// Where events are sent.
    pub(super) fn completions(&self) -> &Arc<Completions> {
        &self.completions
    }

    /// Forgets the events there have been: to be called before a look at what
    /// they may tell of, so that none that comes later is missed.
    pub(super) fn forget_events(&self) {
        while self.events.try_recv().is_ok() {}
    }

    /// Blocks until there is an event, or until the deadline.
    pub(super) fn wait(&self, deadline: Option<Instant>) {
        match deadline {
            // An error would mean that there is no sender, and this is one.
            None => drop(self.events.recv()),
            Some(deadline) => match self.events.recv_deadline(deadline) {
                Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            },
        }
    }
}
