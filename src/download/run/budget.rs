//! [`Budget`]: how many retries a run may still make.

use crate::download::retry::RetryPolicy;
use crate::sync::Mutex;

/// The retries a run may still make.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Mutex<u32>,
    most: u32,
}

impl Budget {
    pub(crate) fn of(policy: &RetryPolicy) -> Self {
        Self {
            left: Mutex::new(policy.budget),
            most: policy.budget,
        }
    }

    pub(crate) fn take(&self) -> bool {
        let mut left = self.left.lock();
        if *left == 0 {
            return false;
        }
        *left -= 1;
        true
    }

    pub(crate) fn give_back(&self) {
        let mut left = self.left.lock();
        *left = left.saturating_add(1).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_given_back_by_what_arrives() {
        let budget = Budget::of(&RetryPolicy::default().budget(1));
        assert!(budget.take());
        assert!(!budget.take());
        budget.give_back();
        budget.give_back();
        assert!(budget.take());
        assert!(!budget.take());
    }

    #[test]
    fn the_largest_budget_takes_what_is_given_back() {
        let budget = Budget::of(&RetryPolicy::default().budget(u32::MAX));
        budget.give_back();
        assert!(budget.take());
    }
}
