//! Arguments and results that are too large for a message: reading the ones before
//! a call starts, storing the others before it is answered.

use super::Serving;
use super::held::{Held, Stage, Step};
use super::slots::Request;
use crate::cluster::large::{self, Large, PAUSE};
use crate::cluster::message::{ToSubmitter, pack};
use crate::cluster::refusal::Refusal;
use bytes::Bytes;
use std::time::Instant;

impl Serving<'_> {
    /// Reads the argument of a call, which then is started.
    pub(super) fn fetch(
        &mut self,
        sequence: u64,
        function: &'static str,
        request: Request,
        large: Large,
    ) -> Stage {
        self.slots.reserve();
        let api = self.connection.api.clone();
        let (submitter, number) = (request.submitter.to_string(), request.number);
        let patience = Instant::now() + self.connection.lease;
        let task = large::run(self.steps.clone(), async move {
            let argument = loop {
                match large::get(api.clone(), submitter.clone(), number, large.clone()).await {
                    Err(refusal) if refusal.may_pass() && Instant::now() < patience => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    argument => break argument,
                }
            };
            Step::Fetched {
                sequence,
                function,
                request,
                argument,
            }
        });
        Stage::Fetching { task }
    }

    /// The argument of a call is here, or will not come.
    pub(super) async fn fetched(
        &mut self,
        sequence: u64,
        function: &'static str,
        request: Request,
        argument: Result<Bytes, Refusal>,
    ) {
        let is_fetching = |held: &Held| matches!(held.stage, Stage::Fetching { .. });
        if !self.held.get(&sequence).is_some_and(is_fetching) {
            return;
        }
        self.slots.release();
        match argument {
            Ok(argument) => {
                let stage = self.slots.start(sequence, function, request, argument);
                if let Some(held) = self.held.get_mut(&sequence) {
                    held.stage = stage;
                }
            }
            Err(_) => {
                // The call has ended, or the server has lost it: then its submitter
                // sends it again.
                if let Some(held) = self.held.remove(&sequence) {
                    self.say(&held, "+ACK").await;
                    let subject = self.connection.names.to_submitter(&held.submitter);
                    if let Ok(purged) = pack(&ToSubmitter::Purged, &[]) {
                        self.publish(subject, purged).await;
                    }
                }
            }
        }
    }

    /// The result of a call is stored.
    pub(super) async fn stored(&mut self, sequence: u64) {
        let Some(mut held) = self.held.remove(&sequence) else {
            return;
        };
        if let Stage::Storing { answer, result, .. } = &held.stage {
            let (answer, result) = (answer.clone(), result.clone());
            self.answer(sequence, &held, answer.clone()).await;
            held.stage = Stage::Answered {
                answer,
                result: Some(result),
                sent: Instant::now(),
            };
        }
        self.held.insert(sequence, held);
    }

    /// Stores a result, of which the answer then tells.
    pub(super) fn store(
        &self,
        sequence: u64,
        held: &Held,
        answer: Bytes,
        result: (Large, Bytes),
    ) -> Stage {
        let api = self.connection.api.clone();
        let (large, body) = result.clone();
        let put = large::put(api, held.submitter.to_string(), held.number, large, body);
        let task = large::run(self.steps.clone(), async move {
            put.await;
            Step::Stored { sequence }
        });
        Stage::Storing {
            answer,
            result,
            task,
        }
    }

    /// Stores all large results again that nobody has got yet: the server may
    /// have lost them.
    pub(super) fn store_again(&mut self) {
        let answered = |held: &Held| match &held.stage {
            Stage::Answered {
                answer,
                result: Some(result),
                ..
            } => Some((answer.clone(), result.clone())),
            _ => None,
        };
        let again: Vec<_> = self
            .held
            .iter()
            .filter_map(|(sequence, held)| {
                let (answer, result) = answered(held)?;
                Some((*sequence, self.store(*sequence, held, answer, result)))
            })
            .collect();
        for (sequence, stage) in again {
            if let Some(held) = self.held.get_mut(&sequence) {
                held.stage = stage;
            }
        }
    }
}
