//! Calls that may have killed workers: one more ends them, so the last attempt
//! runs alone, and it is known who was to blame.
//!
//! ```text
//! suspect ──► marked at the server ──► in the pool, or fetching ──► answered
//!    │              │
//!    └──────────────┴ found marked already: it has killed a worker alone
//! ```
//!
//! - While there are suspects, a worker takes nothing else and starts nothing else;
//!   a suspect starts when nothing runs and all answers have arrived. Where that takes too long, it starts in
//!   company, and if the worker dies then, it is blamed.
//! - A mark names the message: a call that was given back has a new one, and is
//!   unmarked. It is removed as soon as the run has ended.

use super::Serving;
use super::held::{Held, Stage, Step};
use crate::cluster::api::Api;
use crate::cluster::large;
use crate::cluster::message::{Answer, Call, unpack};
use crate::cluster::refusal::{NO_MESSAGE, Refusal};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many leases a suspect waits for the others to end.
const PATIENCE: u32 = 5;

/// Before a mark that could not be made is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// The suspects of a worker.
pub(super) struct Suspects {
    /// Those that wait, by their sequences; some may be gone.
    waiting: VecDeque<u64>,
    /// The one whose turn it is.
    current: Option<u64>,
    /// Since when the next one waits for the others to end.
    since: Instant,
    /// The one whose turn it was at the last tick.
    was: Option<u64>,
}

impl Suspects {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            current: None,
            since: Instant::now(),
            was: None,
        }
    }

    /// Whether no other calls may come or start.
    pub(super) fn are_here(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// The one whose turn it is, by its sequence.
    pub(super) fn current(&self) -> Option<u64> {
        self.current
    }

    pub(super) fn push(&mut self, sequence: u64) {
        if !self.are_here() {
            self.since = Instant::now();
        }
        self.waiting.push_back(sequence);
    }

    /// Says whether the turn of one has lasted since this was last asked, once in
    /// each period, while others wait.
    fn are_stuck(&mut self) -> bool {
        let was = std::mem::replace(&mut self.was, self.current);
        self.current.is_some() && self.current == was && !self.waiting.is_empty()
    }
}

impl Serving<'_> {
    /// Lets the next suspect start, if it is time.
    pub(super) fn try_suspect(&mut self) {
        if let Some(current) = self.suspects.current {
            let stage = self.held.get(&current).map(|held| &held.stage);
            if matches!(
                stage,
                Some(Stage::Marking { .. } | Stage::Fetching { .. } | Stage::InPool { .. })
            ) {
                return;
            }
            self.suspects.current = None;
            self.suspects.since = Instant::now();
        }
        // Those that have answered, too: otherwise they would run again if this dies.
        let is_alone = |this: &Self| {
            let mut held = this.held.values();
            this.slots.are_idle() && held.all(|held| matches!(held.stage, Stage::Suspect { .. }))
        };
        let is_due = self.suspects.since.elapsed() >= PATIENCE * self.connection.lease;
        while let Some(&sequence) = self.suspects.waiting.front() {
            let stage = self.held.get(&sequence).map(|held| &held.stage);
            let Some(&Stage::Suspect { deliveries }) = stage else {
                // Cancelled meanwhile.
                self.suspects.waiting.pop_front();
                continue;
            };
            if !is_due && !is_alone(self) {
                return;
            }
            let Some(held) = self.held.get_mut(&sequence) else {
                return;
            };
            self.suspects.waiting.pop_front();
            self.suspects.current = Some(sequence);
            let api = self.connection.api.clone();
            let (submitter, number) = (Arc::clone(&held.submitter), held.number);
            let task = large::run(self.steps.clone(), async move {
                Step::Marked {
                    sequence,
                    was_marked: mark(api, &submitter, number, sequence, deliveries > 1).await,
                }
            });
            held.is_marked = true;
            held.stage = Stage::Marking { task };
            return;
        }
    }

    /// A suspect may start, unless it was marked before.
    pub(super) async fn marked(&mut self, sequence: u64, was_marked: bool) {
        let is_marking = |held: &Held| matches!(held.stage, Stage::Marking { .. });
        if !self.held.get(&sequence).is_some_and(is_marking) {
            return;
        }
        let Some(mut held) = self.held.remove(&sequence) else {
            return;
        };
        // It was read when it came.
        let Ok((call, argument)) = unpack::<Call>(&held.message) else {
            return;
        };
        let function = self.slots.find(&call.function, call.version);
        held.stage = match function {
            Some(function) if !was_marked => {
                self.begin(sequence, &held.submitter, function, call, argument)
            }
            _ => {
                let lost = Answer::WorkersLost(call.deliveries);
                self.refused(sequence, call.number, lost)
            }
        };
        if let Stage::Answered { answer, .. } = &held.stage {
            self.answer(sequence, &held, answer.clone()).await;
        }
        self.held.insert(sequence, held);
    }

    /// The run of a suspect has ended, or nobody waits for it: it was not to blame.
    pub(super) fn remove_mark(&mut self, submitter: &Arc<str>, number: u64) {
        let (api, submitter) = (self.connection.api.clone(), Arc::clone(submitter));
        self.requests.spawn(async move {
            let mark = api.names.mark(&submitter, number);
            api.remove(&submitter, &mark).await;
        });
    }

    /// Leaves suspects that wait behind a long one to other workers; called once in
    /// each period.
    pub(super) fn give_back_stuck_suspects(&mut self) {
        if self.suspects.are_stuck() {
            self.give_back_where(|_, held| matches!(held.stage, Stage::Suspect { .. }));
            self.suspects.waiting.clear();
        }
    }
}

/// Marks a call as about to run alone; says whether this message was marked before.
async fn mark(api: Api, submitter: &str, number: u64, sequence: u64, may_be: bool) -> bool {
    let subject = api.names.mark(submitter, number);
    let mark = sequence.to_le_bytes();
    // Looked at once: a mark that is found later is this one, whose receipt was lost.
    let (mut is_unmarked, mut is_first) = (!may_be, true);
    loop {
        let marked = async {
            if !is_unmarked {
                match api.load(submitter, &subject).await {
                    Ok(before) if *before == mark => return Ok(true),
                    Ok(_)
                    | Err(Refusal::Server {
                        code: NO_MESSAGE, ..
                    }) => is_unmarked = true,
                    Err(refusal) => return Err(refusal),
                }
            }
            api.store(&subject, mark.to_vec().into()).await?;
            Ok(false)
        };
        if let Ok(was_marked) = marked.await {
            return was_marked;
        }
        // Most often, there is no stream yet.
        let is_made = api.create_large(submitter).await.is_ok();
        if !is_made || !std::mem::take(&mut is_first) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
