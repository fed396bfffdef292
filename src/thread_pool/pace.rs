//! How a worker that is quicker than those who submit takes over tasks.
//!
//! Such a worker finds one or two new tasks each time it looks, and each look
//! contends with the next submit for the same lock: both slow down, and the tasks a
//! second with them. So it pauses for two microseconds before it looks again, and then
//! takes over many at a time.
//!
//! It does so only after some small batches in a row, and only while pauses pay. A
//! task that submits the next one, for example, never makes a batch: then pauses
//! become rare, each at least twice as rare as the one before.

/// A batch of so many tasks is small.
const SMALL: usize = 3;

/// Small batches in a row before a pause, and at most so many once pauses have not
/// paid.
///
/// In models one is enough: they show the pause too.
const FIRST: u32 = if cfg!(as_completed_loom) { 1 } else { 4 };
const MOST: u32 = 1 << 16;

/// What a worker remembers of the batches that it took over while it was running.
pub(super) struct Pace {
    /// Small ones in a row.
    small: u32,
    /// How many of them make it pause.
    enough: u32,
    has_paused: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            small: 0,
            enough: FIRST,
            has_paused: false,
        }
    }

    /// Says whether to pause before the next batch is taken over.
    pub(super) fn pauses(&mut self) -> bool {
        self.has_paused = self.small >= self.enough;
        self.has_paused
    }

    /// A batch was taken over.
    pub(super) fn took(&mut self, tasks: usize) {
        let is_small = tasks <= SMALL;
        match (self.has_paused, is_small) {
            (true, true) => {
                self.small = 0;
                self.enough = (self.enough * 2).min(MOST);
            }
            (true, false) => self.enough = FIRST,
            // The worker was as quick as those who wait for it: it spins instead.
            (false, true) if tasks == 0 => {}
            (false, true) => self.small = self.small.saturating_add(1),
            (false, false) => self.small = 0,
        }
    }
}

#[cfg(all(test, not(as_completed_loom)))]
mod tests {
    use super::*;

    /// How often a worker pauses that finds batches of these lengths, one length while
    /// it has not paused and one after a pause.
    fn pauses(without: usize, after: usize, batches: usize) -> usize {
        let mut pace = Pace::new();
        let looks = (0..batches).filter(|_| {
            let pauses = pace.pauses();
            pace.took(if pauses { after } else { without });
            pauses
        });
        looks.count()
    }

    #[test]
    fn small_batches_in_a_row_make_it_pause_for_as_long_as_that_pays() {
        assert_eq!(pauses(1, 20, 4), 0);
        assert_eq!(pauses(1, 20, 5), 1);
        assert_eq!(pauses(2, 20, 1004), 1000);
        assert_eq!(pauses(20, 20, 1000), 0);
    }

    #[test]
    fn pauses_that_do_not_pay_become_rare() {
        assert!(pauses(1, 1, 100_000) <= 16);
        assert!(pauses(3, 0, 100_000) <= 16);
    }

    #[test]
    fn one_task_at_a_time_never_makes_it_pause() {
        assert_eq!(pauses(0, 0, 1000), 0);
    }

    #[test]
    fn batches_of_up_to_three_are_small() {
        assert_eq!(pauses(3, 20, 1004), 1000);
        assert_eq!(pauses(4, 20, 1000), 0);
    }

    /// What a worker remembers after batches of these lengths.
    fn after(batches: &[usize]) -> Pace {
        let mut pace = Pace::new();
        for batch in batches {
            pace.pauses();
            pace.took(*batch);
        }
        pace
    }

    #[test]
    fn only_small_batches_in_a_row_count() {
        assert!(after(&[1; 4]).pauses());
        assert!(!after(&[1, 1, 1, 20, 1]).pauses());
    }

    #[test]
    fn a_pause_that_pays_makes_the_next_as_frequent_as_at_first() {
        let unpaid = [1; 5];
        assert_eq!(after(&unpaid).enough, 2 * FIRST);
        let paid = [&unpaid[..], &[1; 8], &[20]].concat();
        assert_eq!(after(&paid).enough, FIRST);
    }

    #[test]
    fn pauses_do_not_become_rarer_without_end() {
        let mut pace = Pace {
            small: MOST,
            enough: MOST,
            has_paused: false,
        };
        assert!(pace.pauses());
        pace.took(1);
        assert_eq!(pace.enough, MOST);
    }
}
