//! [`Claimable`]: the places of handles whose tasks a worker that waits for them may
//! run itself.
//!
//! Each place is looked at until its task has started or is known to be no task of
//! this pool, and then only once more, when the task joins the pool. So a wait costs as
//! many looks as there is news, however many handles are pending.

use super::awaited::{Awaited, awaited};
use super::slots::{Places, Slots};
use crate::task::{Claim, Claimer, Completions, NUDGE, Watcher};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Claimable {
    /// The pool whose worker looked last; 0 if none has.
    pool: u32,
    places: Places,
    /// Places of tasks whose limit was reached, by their limit: they do not keep the
    /// worker from what is behind them.
    limited: BTreeMap<usize, Places>,
}

/// What came of the look at a place.
enum Look {
    /// The task has run here.
    Ran,
    /// The task is not for this worker to run, unless it joins the pool later.
    Never,
    /// Others are free to run it, and all that no limit holds.
    Left,
    /// The same, or this limit is reached.
    Limited(usize),
}

impl Claimable {
    /// Adds the place of one of `pending` handles, whose task was not final.
    pub(super) fn push(&mut self, place: u32, pending: usize) {
        if self.pool == 0 {
            return;
        }
        if self.places.ranges() <= 2 * pending + 16 {
            self.places.push_back(place);
        } else {
            // Too many places of handles that are gone: look at all anew.
            self.pool = 0;
        }
    }

    /// Runs one of the tasks of the `pending` handles, where nobody else is free to; says
    /// whether it did. Else `completions` are nudged when the answer may be another.
    pub(super) fn claim<H: Awaited>(
        &mut self,
        claimer: &Claimer,
        (slots, pending): (&Slots<H>, usize),
        completions: &Arc<Completions>,
    ) -> bool {
        for place in completions.take_joined() {
            self.push(place, pending);
        }
        if self.pool != claimer.pool() {
            *self = Self::default();
            self.pool = claimer.pool();
            for (place, _) in slots.iter_from(0) {
                self.places.push_back(place);
            }
        }
        let waiter = || Watcher::Completion(Arc::clone(completions), NUDGE);
        self.claim_by(|place| {
            let Some(task) = slots.at(place).map(awaited) else {
                return Look::Never;
            };
            match claimer.claim_or_watch(task, waiter) {
                Claim::Ran => Look::Ran,
                Claim::Never => Look::Never,
                Claim::Left => match task.guard() {
                    Some(guard) => Look::Limited(guard.limit()),
                    None => Look::Left,
                },
            }
        })
    }

    fn claim_by(&mut self, mut look: impl FnMut(u32) -> Look) -> bool {
        let mut has_run = false;
        self.limited.retain(|_, places| {
            while let Some(place) = places.front().filter(|_| !has_run) {
                match look(place) {
                    Look::Ran => has_run = true,
                    Look::Never => {}
                    Look::Left | Look::Limited(_) => break,
                }
                places.pop_front();
            }
            places.front().is_some()
        });
        while let Some(place) = self.places.front().filter(|_| !has_run) {
            match look(place) {
                Look::Ran => has_run = true,
                Look::Never => {}
                Look::Left => break,
                Look::Limited(limit) => self.limited.entry(limit).or_default().push_back(place),
            }
            self.places.pop_front();
        }
        has_run
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;

    fn of_a_worker(places: impl Iterator<Item = u32>) -> Claimable {
        let mut claimable = Claimable {
            pool: 1,
            ..Claimable::default()
        };
        places.for_each(|place| claimable.push(place, usize::MAX / 4));
        claimable
    }

    #[test]
    fn a_push_costs_one_look_however_many_are_pending() {
        let mut claimable = of_a_worker(0..100_000);
        let mut looks = 0;
        let mut count = |claimable: &mut Claimable| {
            let before = looks;
            claimable.claim_by(|_| {
                looks += 1;
                Look::Never
            });
            looks - before
        };
        assert_eq!(count(&mut claimable), 100_000);
        // One place is used again and again, as when what is pushed ends at once.
        for _ in 0..1_000 {
            claimable.push(100_000, 100_001);
            assert_eq!(count(&mut claimable), 1);
        }
        assert_eq!(count(&mut claimable), 0);
    }

    #[test]
    fn what_others_are_free_to_run_costs_one_look() {
        let mut claimable = of_a_worker(0..1_000);
        for _ in 0..3 {
            let mut looks = Vec::new();
            claimable.claim_by(|place| {
                looks.push(place);
                Look::Left
            });
            assert_eq!(looks, [0]);
        }
    }

    #[test]
    fn a_limit_that_is_reached_holds_up_no_other_and_costs_one_look() {
        let mut claimable = of_a_worker(0..1_000);
        let limit = |place| (place % 3) as usize;
        // Limits 1 and 2 are reached; there is none for the others, all of which run.
        let mut ran = Vec::new();
        while claimable.claim_by(|place| match limit(place) {
            0 => {
                ran.push(place);
                Look::Ran
            }
            limit => Look::Limited(limit),
        }) {}
        assert_eq!(ran, (0..1_000).step_by(3).collect::<Vec<_>>());
        let mut looks = Vec::new();
        claimable.claim_by(|place| {
            looks.push(place);
            Look::Limited(limit(place))
        });
        assert_eq!(looks, [1, 2]);
        // The second limit has room.
        while claimable.claim_by(|place| match limit(place) {
            2 => Look::Ran,
            limit => Look::Limited(limit),
        }) {}
        assert_eq!(claimable.limited.keys().collect::<Vec<_>>(), [&1]);
    }

    #[test]
    fn places_of_handles_that_are_gone_do_not_pile_up() {
        let mut claimable = of_a_worker(std::iter::empty());
        for turn in 0..100 {
            claimable.push(2 * (turn % 50), 2);
        }
        assert_eq!(claimable.pool, 0);
        assert!(claimable.places.ranges() <= 21);
    }

    /// What has run is given out before another is looked at.
    #[test]
    fn one_task_is_run_at_a_time() {
        let mut looks = Vec::new();
        for were_limited in [false, true] {
            let mut claimable = of_a_worker(0..3);
            if were_limited {
                assert!(!claimable.claim_by(|_| Look::Limited(1)));
            }
            for expected in 0..3 {
                assert!(claimable.claim_by(|place| {
                    looks.push(place);
                    Look::Ran
                }));
                assert_eq!(looks.pop(), Some(expected));
                assert!(looks.is_empty());
            }
        }
    }
}
