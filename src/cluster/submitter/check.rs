//! Whether the calls are still in the stream: after a loss of the connection, or
//! a pause of this process.

use super::Submitter;
use super::found::Found;
use super::pending::{Pending, Stage};
use super::removals::Removal;
use crate::cluster::queue;
use std::time::{Duration, Instant};

/// When to ask whether the calls are in the stream.
#[derive(Default)]
pub(super) struct Check {
    due: Option<Instant>,
    /// That is being asked: not twice at the same time.
    is_asked: bool,
}

impl Check {
    pub(super) fn after(&mut self, time: Duration) {
        self.due = Some(Instant::now() + time);
    }

    pub(super) fn is_due(&self) -> bool {
        !self.is_asked && self.due.is_some_and(|due| due <= Instant::now())
    }
}

impl Submitter {
    /// Asks for each stored call whether it is still in the stream.
    pub(super) fn look(&mut self) {
        let stored: Vec<_> = self
            .calls
            .iter()
            .filter_map(|(number, pending)| match pending.stage {
                Stage::Stored(sequence) => Some((*number, sequence)),
                _ => None,
            })
            .collect();
        self.check.due = None;
        if stored.is_empty() {
            return;
        }
        let connection = &self.connection;
        let (api, settings) = (connection.api.clone(), connection.settings.clone());
        let finds = self.finds.clone();
        let created = self.connection.created.clone();
        self.check.is_asked = true;
        tokio::spawn(async move {
            let gone = match queue::remake(api.clone(), settings).await {
                Some(now) if now == created => api.gone(stored).await.ok(),
                Some(now) => {
                    let _ = finds.send(Found::Stream(now));
                    // It has none of them.
                    Some(Vec::new())
                }
                None => None,
            };
            let _ = finds.send(Found::Looked(gone));
        });
    }

    pub(super) fn looked(&mut self, gone: Option<Vec<(u64, u64)>>) {
        self.check.is_asked = false;
        match gone {
            Some(gone) => {
                for (number, sequence) in gone {
                    self.lost(number, sequence);
                }
            }
            // All are looked for once more.
            None => self.check.after(Duration::ZERO),
        }
    }

    /// Another stream than the one that had the calls: it has none of them.
    pub(super) fn found_stream(&mut self, created: String) {
        if created == self.connection.created {
            return;
        }
        self.connection.created = created;
        self.highest = 0;
        let stored = |pending: &Pending| match pending.stage {
            Stage::Stored(sequence) => Some(sequence),
            _ => None,
        };
        let calls: Vec<_> = self
            .calls
            .iter()
            .filter_map(|(number, pending)| Some((*number, stored(pending)?)))
            .collect();
        for (number, sequence) in calls {
            if let Some(pending) = self.calls.get_mut(&number) {
                // Lost as well; if it is not, the server says so.
                pending.record = None;
            }
            self.lost(number, sequence);
        }
    }

    /// Sends a call again that is not in the stream any more and has no answer.
    pub(super) fn lost(&mut self, number: u64, sequence: u64) {
        if let Some(pending) = self.calls.get(&number) {
            if matches!(pending.stage, Stage::Stored(stored) if stored == sequence) {
                if pending.record.is_some() {
                    // Its answer may be there.
                    return self.read_record(number, true);
                }
                self.wait_again(number);
            }
        }
    }

    /// Removes what a server that was killed between the acknowledgement and the
    /// removal has kept, once all calls have ended.
    pub(super) fn clean(&mut self) {
        if !self.has_leftovers || !self.connected || !self.calls.is_empty() {
            return;
        }
        self.has_leftovers = false;
        if self.durable.is_some() {
            // They may be of earlier submitters; without a record, they are nobody's.
            return;
        }
        // What is sent from now on comes later.
        self.removals.push(Removal::CallsBefore(self.highest + 1));
    }
}
