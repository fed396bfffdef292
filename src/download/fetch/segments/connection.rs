//! [`Connection`]: one of the connections over which a file comes.

use super::board::Board;
use super::large::Large;
use crate::download::error::{DownloadErrorKind, TimeoutKind};
use crate::download::fetch::ask::{Answer, Condition, ask, encoding, refusal};
use crate::download::fetch::body;
use crate::download::fetch::failure::{Again, Failure, within_body};
use crate::download::fetch::hosts::Slot;
use crate::download::fetch::pace::RateLimit;
use crate::download::fetch::resume::ContentRange;
use crate::download::fetch::save::Draft;
use crate::task::CancelToken;
use std::io::Read;
use std::ops::Range;
use std::time::{Duration, Instant};
use ureq::Body;

/// How many kept connections may turn out to be closed, one after the other.
const MAX_STALE: u32 = 64;

/// A body that is being read.
struct Stream {
    reader: ureq::BodyReader<'static>,
    /// What of the file it has yet to bring.
    rest: Range<u64>,
}

impl Stream {
    /// Reads to its end what has brought all, so that its connection can be used again.
    fn close(mut self) {
        let _ = self.reader.read(&mut [0]);
    }
}

/// One of the connections over which a file comes, on a thread of its own.
pub(super) struct Connection<'a> {
    who: usize,
    large: &'a Large<'a>,
    board: &'a Board,
    draft: &'a Draft,
    stop: &'a CancelToken,
    stream: Option<Stream>,
    /// Its share of what the host may have; the first one has that of the job.
    slot: Option<Slot<'a>>,
    /// Since bytes last came.
    failures: u32,
    stale: u32,
}

/// Why a connection does not go on with its stream.
enum Break {
    Failed(Failure),
    /// The server does not honour ranges.
    NoRanges,
}

impl From<DownloadErrorKind> for Break {
    fn from(kind: DownloadErrorKind) -> Self {
        Self::Failed(kind.into())
    }
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        who: usize,
        large: &'a Large<'a>,
        board: &'a Board,
        draft: &'a Draft,
        stop: &'a CancelToken,
    ) -> Self {
        Self {
            who,
            large,
            board,
            draft,
            stop,
            stream: None,
            slot: None,
            failures: 0,
            stale: 0,
        }
    }

    /// Goes on with an answer that is there already.
    pub(super) fn with_answer(mut self, body: Body, rest: Range<u64>) -> Self {
        self.stream = Some(Stream {
            reader: body.into_reader(),
            rest,
        });
        self
    }

    /// Receives one piece after the other until there is none.
    pub(super) fn run(mut self) {
        self.large.shared.with_buffer(|buffer| {
            while self.has_room() {
                let at = self
                    .stream
                    .as_ref()
                    .map_or(0..0, |stream| stream.rest.clone());
                let Some(piece) = self.board.take(self.who, &at) else {
                    return;
                };
                if let Err(why) = self.receive(piece, buffer) {
                    self.stream = None;
                    self.board.put_down(self.who);
                    if !self.goes_on_after(why) {
                        return;
                    }
                }
            }
        });
    }

    /// Waits until the host may have one more connection; returns whether there
    /// is still something to do.
    fn has_room(&mut self) -> bool {
        let Some(hosts) = self.large.shared.hosts.as_ref().filter(|_| self.who > 0) else {
            return true;
        };
        if self.slot.is_some() && hosts.is_over_limit(self.large.location.authority()) {
            // A job of that host has begun.
            self.stream = None;
            self.board.put_down(self.who);
            self.slot = None;
        }
        while self.slot.is_none() {
            self.slot = hosts.try_enter(self.large.location.authority());
            if self.slot.is_none() && self.board.idle() {
                return false;
            }
        }
        true
    }

    fn is_to_make_room(&self) -> bool {
        let hosts = self.large.shared.hosts.as_ref();
        self.slot.is_some()
            && hosts.is_some_and(|hosts| hosts.is_over_limit(self.large.location.authority()))
    }

    /// Decides what a failure means: for this connection, for the attempt.
    fn goes_on_after(&mut self, why: Break) -> bool {
        let failure = match why {
            Break::NoRanges => {
                self.board.refuse_ranges();
                return false;
            }
            Break::Failed(failure) => failure,
        };
        if self.board.is_over() {
            return false;
        }
        let settings = &self.large.shared.settings;
        let ends_all = matches!(
            failure.kind,
            DownloadErrorKind::Cancelled
                | DownloadErrorKind::Changed
                | DownloadErrorKind::File { .. }
                | DownloadErrorKind::TooSlow { .. }
                | DownloadErrorKind::Timeout(TimeoutKind::Total)
        );
        if ends_all {
            self.board.fail(failure);
            return false;
        }
        if failure.again == Again::Stale && self.stale < MAX_STALE {
            self.stale += 1;
            return true;
        }
        // A host that refuses one more connection is not asked again.
        let is_refused = matches!(failure.kind, DownloadErrorKind::Status { .. });
        let is_final = !settings.retry.allows(&failure.kind, self.failures);
        if is_final || is_refused && self.board.has_others() {
            self.board.note_failure(failure);
            return false;
        }
        self.failures += 1;
        if let Some(after) = &failure.retry_after {
            let pause = settings.retry.capped(after.delay);
            self.large.pauses.pause(&after.authority, pause);
        }
        self.board.note_failure(failure);
        self.stop.sleep(settings.retry.delay_before(self.failures))
    }

    /// Receives a piece, or as much of it as the others leave to this connection.
    fn receive(&mut self, piece: Range<u64>, buffer: &mut [u8]) -> Result<(), Break> {
        let goes_on = |stream: &Stream| {
            let is_there = stream.rest.start == piece.start;
            // Where there are no ranges, it reads over what is there already.
            let is_before = stream.rest.start < piece.start && stream.rest.end >= piece.end;
            is_there || is_before && self.board.has_no_ranges()
        };
        // Closed before another connection is made: the host has a limit.
        let mut stream = match self.stream.take().filter(goes_on) {
            Some(stream) => stream,
            None => self.request(&piece)?,
        };
        while stream.rest.start < piece.start {
            let ahead = piece.start - stream.rest.start;
            self.read(&mut stream, buffer, ahead)?;
        }
        let rate_limit = self.large.shared.rate_limit.as_ref();
        let mut end = piece.end;
        while stream.rest.start < end {
            if stream.rest.is_empty() {
                // The answer was of less than the piece, as it may be.
                let rest = stream.rest.start..end;
                stream.close();
                stream = self.request(&rest)?;
            }
            let left = end.min(stream.rest.end) - stream.rest.start;
            let read = self.read(&mut stream, buffer, left)?;
            let (reserved, new_end) = self.board.reserve(self.who, read as u64);
            end = new_end;
            let length = usize::try_from(reserved.end - reserved.start).unwrap_or(read);
            self.draft.write_at(&buffer[..length], reserved.start)?;
            self.board.wrote(reserved);
            self.failures = 0;
            self.stale = 0;
            if length < read || self.is_to_make_room() {
                return Ok(());
            }
            if let Some(rate_limit) = rate_limit {
                self.pay(rate_limit, read);
            }
            self.check()?;
        }
        if stream.rest.is_empty() {
            stream.close();
        } else {
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Reads some bytes, at least one.
    fn read(&self, stream: &mut Stream, buffer: &mut [u8], at_most: u64) -> Result<usize, Failure> {
        let chunk = self
            .large
            .shared
            .rate_limit
            .as_ref()
            .map_or(usize::MAX, RateLimit::chunk);
        let room = usize::try_from(at_most)
            .unwrap_or(usize::MAX)
            .min(chunk)
            .min(buffer.len());
        let received = stream.rest.start;
        self.board.begin_read();
        let read = stream.reader.read(&mut buffer[..room]);
        let is_fast = self.board.end_read(*read.as_ref().unwrap_or(&0));
        let read = read.map_err(|error| within_body(error, received))?;
        is_fast?;
        if read == 0 {
            return Err(DownloadErrorKind::Body {
                received,
                cause: format!("the answer was to go on to byte {}", stream.rest.end).into(),
            }
            .into());
        }
        stream.rest.start += read as u64;
        Ok(read)
    }

    fn pay(&self, rate_limit: &RateLimit, bytes: usize) {
        let now = Instant::now();
        let pause = rate_limit.take(bytes as u64, now);
        // The more share the limit, the longer are the pauses; none is a stall.
        self.board.hold_back(self.who, now + pause);
        // The attempt is over if the pause is cut short.
        let _is_in_full = pause == Duration::ZERO || self.stop.sleep(pause);
    }

    fn check(&self) -> Result<(), DownloadErrorKind> {
        if self.stop.is_cancelled() {
            return Err(DownloadErrorKind::Cancelled);
        }
        self.large.check()
    }

    /// Asks for a piece, and looks whether the answer is of the same version.
    fn request(&self, piece: &Range<u64>) -> Result<Stream, Break> {
        let large = self.large;
        let authority = large.location.authority();
        if !large.pauses.wait(authority, large.deadline, self.stop) {
            self.check()?;
        }
        let condition = Condition::Piece(piece, large.validator);
        let answer = ask(large.shared, large.location, condition, large.deadline)?;
        match self.judge(&answer, piece) {
            Ok(end) => Ok(Stream {
                reader: answer.response.into_body().into_reader(),
                rest: piece.start..end,
            }),
            Err(why) => {
                body::drain(answer.response.into_body());
                Err(why)
            }
        }
    }

    /// Returns up to which byte the answer goes.
    fn judge(&self, answer: &Answer, piece: &Range<u64>) -> Result<u64, Break> {
        let headers = answer.response.headers();
        match answer.response.status().as_u16() {
            206 => {}
            200 if answer.response.body().content_length() == Some(self.large.total)
                && self.large.validator.agrees_with(headers) =>
            {
                return Err(Break::NoRanges);
            }
            // The range was of the file that there was.
            200 | 412 | 416 => return Err(DownloadErrorKind::Changed.into()),
            _ => return Err(refusal(answer).into()),
        }
        let is_alike = encoding(headers).as_deref() == self.large.encoding.as_deref();
        let Some(ContentRange {
            range: Some((start, end)),
            total,
        }) = ContentRange::of(headers).filter(|_| is_alike)
        else {
            return Err(Break::NoRanges);
        };
        if !self.large.validator.agrees_with(headers)
            || total.is_some_and(|total| total != self.large.total)
        {
            return Err(DownloadErrorKind::Changed.into());
        }
        let is_of_that_length = answer
            .response
            .body()
            .content_length()
            .is_none_or(|length| length == end - start);
        if start != piece.start || end > piece.end || !is_of_that_length {
            return Err(Break::NoRanges);
        }
        Ok(end)
    }
}

impl Drop for Connection<'_> {
    /// Also where it panics: the others take over what it had.
    fn drop(&mut self) {
        self.board.leave(self.who);
    }
}
