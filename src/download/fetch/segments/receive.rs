//! Receiving a large file: its connections, and what the thread of the job does
//! meanwhile.

use super::board::Board;
use super::connection::Connection;
use super::large::Large;
use super::plan::Plan;
use crate::download::error::DownloadErrorKind;
use crate::download::fetch::body::Progress;
use crate::download::fetch::failure::{Again, Failure};
use crate::download::fetch::pace::SharedSpeedometer;
use crate::download::fetch::ranges::Ranges;
use crate::download::fetch::save::Draft;
use crate::download::net::stop;
use crate::download::sum::Hasher;
use crate::task::CancelToken;
use std::thread;
use std::time::{Duration, Instant};

/// How often the thread of the job looks at what has come.
const TICK: Duration = Duration::from_millis(100);
/// Notes take no more than this part of the time.
const NOTE_SHARE: u32 = 10;

/// Writes down what there is of a file, for a later run.
pub(crate) type NoteWritten<'a> = dyn FnMut(&Ranges) -> Result<(), DownloadErrorKind> + 'a;

/// Cancels a token when the scope of its threads ends, however it does.
struct CancelOnDrop<'a>(&'a CancelToken);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What the thread of the job does meanwhile.
struct Watch<'a, 'b> {
    draft: &'a Draft,
    hasher: Option<Hasher>,
    hashed: u64,
    progress: &'a mut Progress<'b>,
    shown: u64,
    note: Option<&'a mut NoteWritten<'b>>,
    noted: Ranges,
    next_note: Instant,
}

impl Large<'_> {
    /// Receives what is not `done`. The `body` is of the bytes from the first one
    /// missing to the last of the file. Blocks until the file is complete or the
    /// attempt has failed; returns the hasher, fed with the whole file.
    pub(crate) fn receive<'b>(
        &self,
        body: ureq::Body,
        done: Ranges,
        draft: &Draft,
        hasher: Option<Hasher>,
        progress: &mut Progress<'b>,
        note: Option<&mut NoteWritten<'b>>,
    ) -> Result<Option<Hasher>, Failure> {
        let first = done.prefix();
        let mut watch = Watch {
            draft,
            hasher,
            hashed: 0,
            progress,
            shown: done.count(),
            note,
            noted: done.clone(),
            next_note: Instant::now() + TICK,
        };
        let plan = Plan::new(self.total, done, self.connections);
        let connections = plan.connections();
        let minimum_speed = self.shared.settings.minimum_speed;
        let speed = minimum_speed.map(SharedSpeedometer::new);
        let board = Board::new(plan, speed, connections);
        let stop = CancelToken::new();
        let watched = thread::scope(|scope| {
            let _stop = CancelOnDrop(&stop);
            let mut body = Some(body);
            for who in 0..connections {
                let mut connection = Connection::new(who, self, &board, draft, &stop);
                if let Some(body) = body.take() {
                    connection = connection.with_answer(body, first..self.total);
                }
                let stop = stop.clone();
                // Where no thread can be started, the connection is dropped, and leaves.
                let _started = thread::Builder::new()
                    .name("download segment".to_owned())
                    .spawn_scoped(scope, move || {
                        stop::set(stop);
                        connection.run();
                    });
            }
            self.watch(&board, &mut watch)
        });
        // What has been written is worth keeping also when the rest is not there.
        let noted = if matches!(&watched, Err(failure) if failure.again == Again::AsAllowed) {
            watch.write_note(&board.watch(Duration::ZERO).written)
        } else {
            Ok(())
        };
        watched?;
        noted?;
        Ok(watch.hasher)
    }

    fn watch(&self, board: &Board, watch: &mut Watch<'_, '_>) -> Result<(), Failure> {
        loop {
            let seen = board.watch(TICK);
            watch.show(&seen.written, self.total);
            if let Err(kind) = self.step(board, watch, &seen.written) {
                board.give_up(kind.into());
                break;
            }
            if seen.is_over {
                break;
            }
        }
        board.outcome().map_err(|failure| match failure {
            Some(Failure {
                kind: DownloadErrorKind::Changed,
                ..
            }) => Failure {
                again: Again::Anew,
                ..DownloadErrorKind::Changed.into()
            },
            Some(failure) => Failure {
                again: Again::AsAllowed,
                ..failure
            },
            None => Failure {
                again: Again::InOneStream,
                ..DownloadErrorKind::Changed.into()
            },
        })
    }

    /// Hashes and notes what has come.
    fn step(
        &self,
        board: &Board,
        watch: &mut Watch<'_, '_>,
        written: &Ranges,
    ) -> Result<(), DownloadErrorKind> {
        self.check()?;
        if !board.is_over() {
            board.check_speed()?;
        }
        if watch.note.is_some() && Instant::now() >= watch.next_note && watch.noted != *written {
            let before = Instant::now();
            watch.write_note(written)?;
            watch.next_note = Instant::now() + TICK.max(before.elapsed() * NOTE_SHARE);
        }
        let Watch {
            draft,
            hasher,
            hashed,
            ..
        } = watch;
        let Some(hasher) = hasher else {
            return Ok(());
        };
        self.shared.with_buffer(|buffer| {
            let until = written.prefix();
            while *hashed < until && (!board.is_over() || until == self.total) {
                self.check()?;
                let length = usize::try_from(until - *hashed).unwrap_or(usize::MAX);
                let room = length.min(buffer.len());
                let read = draft.read_at(&mut buffer[..room], *hashed)?;
                hasher.update(&buffer[..read]);
                *hashed += read as u64;
            }
            Ok(())
        })
    }
}

impl Watch<'_, '_> {
    fn show(&mut self, written: &Ranges, total: u64) {
        let count = written.count();
        if count > self.shown {
            (self.progress)(count - self.shown, count, Some(total));
            self.shown = count;
        }
    }

    /// Notes what is written, once it is on the disk: after a crash of the
    /// machine, the note must not promise more than there is.
    fn write_note(&mut self, written: &Ranges) -> Result<(), DownloadErrorKind> {
        let Some(note) = &mut self.note else {
            return Ok(());
        };
        if self.noted != *written {
            self.draft.sync_content()?;
            note(written)?;
            self.noted = written.clone();
        }
        Ok(())
    }
}
