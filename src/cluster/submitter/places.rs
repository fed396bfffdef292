//! Where calls are in the stream: those that earlier submitters of the name have left,
//! and those whose receipts were lost.

use super::Submitter;
use super::found::Found;
use super::pending::Stage;
use crate::cluster::api::Api;
use crate::cluster::large::PAUSE;
use crate::cluster::message::{Call, unpack};
use crate::cluster::refusal::{NO_STREAM, Refusal};
use bytes::Bytes;
use std::collections::HashMap;

/// Finds the calls of a submitter in the queue, or those `after` a number of the stream
/// that was made at that time: their numbers, and those in the stream. Tries until it can.
pub(super) async fn find(api: &Api, id: &str, after: Option<&(String, u64)>) -> HashMap<u64, u64> {
    let read = |_, place, message: Bytes| async move {
        let call = unpack::<Call>(&message);
        Ok(call.ok().map(|(call, _)| (call.number, place)))
    };
    loop {
        match api.each_call(id, after, None, read).await {
            Ok(mut found) => {
                // A call that was given back meanwhile may be found twice: it is behind.
                found.sort_by_key(|call| call.map(|(_, place)| place));
                return found.into_iter().flatten().collect();
            }
            // It has none of them.
            Err(Refusal::Server {
                code: NO_STREAM, ..
            }) => return HashMap::new(),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Calls whose receipts were lost, each with its attempt.
pub(super) type Sought = Vec<(u64, u32)>;

impl Submitter {
    /// Looks for calls in the stream that may be there or not; those that are not are
    /// sent again.
    ///
    /// A message that is still on its way, over a connection that was lost, is not found.
    /// Its receipt comes later, over the connection that is there now.
    pub(super) fn search(&mut self, sought: Sought) {
        let pending = sought
            .iter()
            .filter_map(|(number, _)| self.calls.get(number));
        let Some(after) = pending.map(|pending| pending.after).min() else {
            return;
        };
        let (api, id) = (self.connection.api.clone(), self.id.clone());
        let after = (self.connection.created.clone(), after);
        let finds = self.finds.clone();
        self.searches += 1;
        tokio::spawn(async move {
            let places = find(&api, &id, Some(&after)).await;
            let _ = finds.send(Found::Sent(sought, places));
        });
    }

    pub(super) fn found_sent(&mut self, sought: &[(u64, u32)], places: &HashMap<u64, u64>) {
        self.searches -= 1;
        for &(number, attempt) in sought {
            let place = places.get(&number).copied();
            let Some(pending) = self.calls.get_mut(&number) else {
                // Ended meanwhile.
                if let Some(place) = place {
                    self.delete(place);
                }
                continue;
            };
            // Its receipt may have come meanwhile, or its answer.
            if pending.attempt != attempt || !matches!(pending.stage, Stage::Searched) {
                continue;
            }
            match place {
                Some(place) => self.is_stored(number, place),
                None => self.wait_again(number),
            }
        }
        // They may have been purged since they were found.
        self.check.after(self.connection.lease / 3);
    }
}
