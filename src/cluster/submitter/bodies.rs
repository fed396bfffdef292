//! Arguments and results that are too large for a message, on their way.

use super::Submitter;
use super::found::Found;
use super::removals::Removal;
use crate::cluster::large::{self, Large};

impl Submitter {
    /// Stores the argument of a call, which then is sent.
    pub(super) fn put(&mut self, number: u64) {
        if let Some(pending) = self.calls.get_mut(&number) {
            if let Some((large, body)) = &pending.large {
                let api = self.connection.api.clone();
                let put = large::put(api, self.id.clone(), number, large.clone(), body.clone());
                pending.task = Some(large::run(self.finds.clone(), async move {
                    put.await;
                    Found::Put(number)
                }));
            }
        }
    }

    /// Reads the result of a call, unless that is on its way.
    pub(super) fn get(&mut self, number: u64, worker: Option<(String, u64)>, large: Large) {
        let Some(pending) = self.calls.get_mut(&number) else {
            // It has ended.
            self.arrived(worker);
            self.removals.push(Removal::Large(number));
            return;
        };
        if pending.task.is_none() {
            pending.has_chunks = true;
            let get = large::get(self.connection.api.clone(), self.id.clone(), number, large);
            pending.task = Some(large::run(self.finds.clone(), async move {
                Found::Got {
                    number,
                    worker,
                    result: get.await,
                }
            }));
        }
    }
}
