//! The body of an answer, on its way into a file: read, measured, checked.

use super::failure::{Failure, is_too_slow, within_body};
use super::pace::Speedometer;
use super::save::Draft;
use super::shared::Shared;
use crate::download::error::{DownloadErrorKind, TimeoutKind};
use crate::download::net::stop;
use crate::download::sum::Hasher;
use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Told of bytes received, bytes there are, and bytes expected.
pub(crate) type Progress<'a> = dyn FnMut(u64, u64, Option<u64>) + 'a;

/// What a file must be like, and how it is written.
pub(crate) struct Sink<'a> {
    /// Opens the draft, once there is something to write.
    pub(crate) open: &'a mut dyn FnMut() -> Result<Draft, DownloadErrorKind>,
    /// Bytes that the draft has already.
    pub(crate) offset: u64,
    /// Bytes of the whole file, if the server has said.
    pub(crate) total: Option<u64>,
    /// Bytes of the whole file that the job requires.
    pub(crate) required: Option<u64>,
    /// Fed with what the draft has already, if a checksum is required.
    pub(crate) hasher: Option<Hasher>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) progress: &'a mut Progress<'a>,
}

/// A body that has been received to its end.
pub(crate) struct Received {
    pub(crate) draft: Draft,
    pub(crate) hasher: Option<Hasher>,
}

/// Reads the body to its end.
pub(crate) fn receive(
    shared: &Shared,
    body: impl Read,
    sink: Sink<'_>,
) -> Result<Received, Failure> {
    shared.with_buffer(|buffer| {
        let mut receiving = Receiving {
            shared,
            draft: None,
            length: sink.offset,
            filled: 0,
            buffer,
            sink,
        };
        let outcome = receiving.read_all(body);
        // What has come is worth keeping also when the rest has not.
        let outcome = match (outcome, receiving.flush()) {
            (Err(failure), _) => Err(failure),
            (Ok(()), flushed) => flushed.map_err(Failure::from),
        };
        let Receiving { draft, sink, .. } = receiving;
        match (outcome, draft) {
            (Ok(()), Some(draft)) => Ok(Received {
                draft,
                hasher: sink.hasher,
            }),
            (Ok(()), None) => Ok(Received {
                draft: (sink.open)()?,
                hasher: sink.hasher,
            }),
            (Err(failure), _) => Err(failure),
        }
    })
}

/// A body being received.
struct Receiving<'a, 'b> {
    shared: &'a Shared,
    sink: Sink<'b>,
    draft: Option<Draft>,
    /// Bytes of the file there are, written or not.
    length: u64,
    buffer: &'a mut [u8],
    /// Bytes in the buffer that have not been written. Small files come in
    /// several reads, and are written in one.
    filled: usize,
}

impl Receiving<'_, '_> {
    fn read_all(&mut self, mut reader: impl Read) -> Result<(), Failure> {
        let settings = &self.shared.settings;
        let mut speedometer = settings.minimum_speed.map(Speedometer::new);
        let rate_limit = self.shared.rate_limit.as_ref();
        let chunk = rate_limit.map_or(usize::MAX, super::pace::RateLimit::chunk);
        let mut before = Instant::now();
        loop {
            if self.filled == self.buffer.len() {
                self.flush()?;
            }
            let end = self.buffer.len().min(self.filled.saturating_add(chunk));
            let patience = speedometer.as_ref().map(Speedometer::patience);
            let until = patience.and_then(|patience| before.checked_add(patience));
            let read =
                stop::no_later_than(until, || reader.read(&mut self.buffer[self.filled..end]));
            let after = Instant::now();
            let received = match (read, &speedometer) {
                (Ok(0), _) => break,
                (Ok(received), _) => received,
                (Err(error), Some(speedometer)) if is_too_slow(&error) => {
                    return Err(speedometer.too_slow(after - before).into());
                }
                (Err(error), _) => return Err(within_body(error, self.length)),
            };
            self.take(received)?;
            if let Some(speedometer) = &mut speedometer {
                speedometer.note(received, after - before)?;
            }
            before = after;
            if let Some(rate_limit) = rate_limit {
                let pause = rate_limit.take(received as u64, after);
                let most = self.sink.deadline.map_or(Duration::MAX, |deadline| {
                    deadline.saturating_duration_since(after)
                });
                if !settings.token.sleep(pause.min(most)) {
                    return Err(DownloadErrorKind::Cancelled.into());
                }
                before = Instant::now();
            } else if settings.token.is_cancelled() {
                return Err(DownloadErrorKind::Cancelled.into());
            }
            if self
                .sink
                .deadline
                .is_some_and(|deadline| before >= deadline)
            {
                return Err(DownloadErrorKind::Timeout(TimeoutKind::Total).into());
            }
        }
        self.check_end()
    }

    /// Takes note of bytes that are in the buffer now.
    fn take(&mut self, received: usize) -> Result<(), Failure> {
        let fresh = &self.buffer[self.filled..self.filled + received];
        if let Some(hasher) = &mut self.sink.hasher {
            hasher.update(fresh);
        }
        self.filled += received;
        self.length += received as u64;
        (self.sink.progress)(received as u64, self.length, self.sink.total);
        check_length(
            self.length,
            self.shared.settings.max_size,
            self.sink.required,
        )?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DownloadErrorKind> {
        if self.filled == 0 {
            return Ok(());
        }
        let draft = match &mut self.draft {
            Some(draft) => draft,
            none => none.insert((self.sink.open)()?),
        };
        draft.write(&self.buffer[..self.filled])?;
        self.filled = 0;
        Ok(())
    }

    fn check_end(&self) -> Result<(), Failure> {
        if let Some(expected) = self.sink.required {
            if self.length != expected {
                return Err(DownloadErrorKind::Length {
                    expected,
                    actual: self.length,
                }
                .into());
            }
        }
        match self.sink.total {
            Some(total) if self.length != total => Err(DownloadErrorKind::Body {
                received: self.length,
                cause: format!("{total} bytes were announced").into(),
            }
            .into()),
            _ => Ok(()),
        }
    }
}

/// Looks whether a file that has at least that length can still be right.
pub(crate) fn check_length(
    length: u64,
    max_size: Option<u64>,
    required: Option<u64>,
) -> Result<(), DownloadErrorKind> {
    match (max_size, required) {
        (Some(limit), _) if length > limit => Err(DownloadErrorKind::TooLarge { limit }),
        (_, Some(expected)) if length > expected => Err(DownloadErrorKind::Length {
            expected,
            actual: length,
        }),
        _ => Ok(()),
    }
}

/// Reads an answer that nobody wants, so that its connection can be used again;
/// gives the connection up if that would take long.
pub(crate) fn drain(body: ureq::Body) {
    const MOST: u64 = 16 * 1024;
    if body.content_length().is_some_and(|length| length > MOST) {
        return;
    }
    let mut reader = body.into_reader().take(MOST);
    let mut scrap = [0; 1024];
    while reader.limit() > 0 && matches!(reader.read(&mut scrap), Ok(1..)) {}
}

/// Feeds a hasher with what there is of a file; ends when the run is cancelled or the time
/// of the job is over.
pub(crate) fn hash(
    shared: &Shared,
    mut file: File,
    mut hasher: Hasher,
    unreadable: &dyn Fn(io::Error) -> DownloadErrorKind,
    deadline: Option<Instant>,
) -> Result<Hasher, DownloadErrorKind> {
    shared.with_buffer(|buffer| {
        loop {
            if shared.settings.token.is_cancelled() {
                return Err(DownloadErrorKind::Cancelled);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(DownloadErrorKind::Timeout(TimeoutKind::Total));
            }
            match file.read(buffer).map_err(unreadable)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        Ok(())
    })?;
    Ok(hasher)
}
