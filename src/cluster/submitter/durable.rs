//! What a submitter with a durable name does beyond others: it records its calls,
//! takes their records, and gets back what earlier ones of its name have left.

use super::Submitter;
use super::command::Claim;
use super::found::Found;
use super::pending::{Pending, Stage};
use super::places;
use crate::cluster::api::Api;
use crate::cluster::error::ClusterError;
use crate::cluster::large::{self, Large, PAUSE};
use crate::cluster::message::{Call, ToSubmitter, pack, unpack};
use crate::cluster::record::{self, Listed, Record};
use crate::cluster::refusal::Refusal;
use crate::error::{JoinError, Rejected};
use crate::sync::Sender;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};

/// How many calls a process may make before another could take them for its own.
const RANGE: u64 = 1 << 40;

/// What only a submitter with a durable name knows.
pub(in crate::cluster) struct Durable {
    /// The number of the first call of this process; random, for its predecessors
    /// have numbered theirs too.
    first: u64,
    /// What the listings have found, until it is claimed.
    unclaimed: HashMap<u64, Left>,
    /// Listings that are on their way.
    listings: usize,
    /// Calls that have ended meanwhile, which a listing may still show.
    ended: HashSet<u64>,
    /// Calls that were cancelled before it was known where they are.
    cancelled: HashSet<u64>,
    /// Calls that nobody has claimed, and that were answered since this submitter is
    /// here: a listing may have read their records before.
    answered: HashSet<u64>,
}

impl Durable {
    pub(in crate::cluster) fn new(first: u64) -> Self {
        Self {
            first,
            unclaimed: HashMap::new(),
            listings: 0,
            ended: HashSet::new(),
            cancelled: HashSet::new(),
            answered: HashSet::new(),
        }
    }

    /// Where the attempts of this process begin: the server drops a second message
    /// of the same attempt, also of a predecessor.
    pub(super) fn first_attempt(&self) -> u32 {
        // The upper bits: no process makes so many attempts.
        u32::try_from(self.first & 0xffff_f000).unwrap_or_default()
    }

    pub(super) fn is_own_attempt(&self, attempt: u32) -> bool {
        attempt & 0xffff_f000 == self.first_attempt()
    }

    pub(super) fn ended(&mut self, number: u64, stage: Stage) {
        if self.listings > 0 {
            self.ended.insert(number);
        }
        if matches!(stage, Stage::Searched) {
            self.cancelled.insert(number);
        }
    }
}

/// A call that an earlier submitter has left.
pub(super) struct Left {
    found: Listed,
    /// An argument that is too large for its message.
    large: Option<(Large, Bytes)>,
}

/// What a caller is told of it: its number and its argument.
type Told = Vec<(u64, Bytes)>;

/// What a listing has found, with the arguments; and who asks.
pub(super) struct Listing {
    left: Result<Vec<(Left, Bytes)>, Refusal>,
    tell: Sender<Result<Told, ClusterError>>,
}

/// Reads the records of the calls of one function, and their arguments.
async fn list(api: Api, id: String, function: &str) -> Result<Vec<(Left, Bytes)>, Refusal> {
    let mut left = Vec::new();
    for found in record::list(&api, &id).await? {
        let Ok((call, mut argument)) = unpack::<Call>(&found.record.call) else {
            continue;
        };
        if call.function != function {
            continue;
        }
        if let Some(large) = &call.large {
            argument = large::get(api.clone(), id.clone(), found.number, large.clone()).await?;
        }
        let large = call.large.map(|large| (large, argument.clone()));
        left.push((Left { found, large }, argument));
    }
    Ok(left)
}

/// A call with the number of its record.
fn with_record(message: &Bytes, record: u64) -> Bytes {
    let packed = unpack::<Call>(message).and_then(|(mut call, argument)| {
        call.record = Some(record);
        pack(&call, &argument)
    });
    // It was written by this library.
    packed.unwrap_or_default()
}

impl Submitter {
    /// Says whether a call may be of another submitter of this name.
    pub(super) fn is_of_another(&self, number: u64) -> bool {
        let is_of_another = |durable: &Durable| number.wrapping_sub(durable.first) >= RANGE;
        self.durable.as_ref().is_some_and(is_of_another) && !self.calls.contains_key(&number)
    }

    /// The server has the record of a call, under this number.
    pub(super) fn recorded(&mut self, number: u64, record: u64) {
        if let Some(pending) = self.calls.get_mut(&number) {
            pending.record = Some(record);
            pending.payload = with_record(&pending.payload, record);
        }
    }

    /// A call was answered: ends it, once its record is taken.
    pub(super) fn take(
        &mut self,
        number: u64,
        record: u64,
        worker: Option<(String, u64)>,
        result: Result<Bytes, JoinError>,
    ) {
        let Some(pending) = self.calls.get_mut(&number) else {
            return;
        };
        if pending.task.is_none() {
            let take = record::take(self.connection.api.clone(), self.id.clone(), number, record);
            pending.task = Some(large::run(self.finds.clone(), async move {
                let is_taken = take.await;
                let lost = || Err(JoinError::Rejected(Rejected::Lost));
                Found::Taken {
                    number,
                    worker,
                    result: if is_taken { result } else { lost() },
                }
            }));
        }
    }

    pub(super) async fn taken(
        &mut self,
        number: u64,
        worker: Option<(String, u64)>,
        result: Result<Bytes, JoinError>,
    ) {
        if let Some(pending) = self.calls.get_mut(&number) {
            pending.task = None;
            pending.record = None;
        }
        self.arrived(worker);
        self.settle(number, result);
        // It made room.
        self.pause = None;
        self.acknowledge().await;
    }

    /// A worker has written an answer into the record of a call.
    pub(super) fn answer_recorded(&mut self, number: u64) {
        if self.is_of_another(number) {
            if let Some(durable) = &mut self.durable {
                durable.answered.insert(number);
            }
        }
        self.read_record(number, false);
    }

    /// Reads the record of a call, whose answer may be there; `is_gone` if the call
    /// is not in the queue.
    pub(super) fn read_record(&mut self, number: u64, is_gone: bool) {
        let Some(pending) = self.calls.get_mut(&number) else {
            return;
        };
        if pending.task.is_some() {
            return;
        }
        let (api, id) = (self.connection.api.clone(), self.id.clone());
        pending.task = Some(large::run(self.finds.clone(), async move {
            loop {
                match api.record(&id, number).await {
                    Ok(record) => {
                        return Found::Record {
                            number,
                            record,
                            is_gone,
                        };
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }));
    }

    pub(super) fn found_record(
        &mut self,
        number: u64,
        record: Option<(u64, Bytes)>,
        is_gone: bool,
    ) {
        let Some(pending) = self.calls.get_mut(&number) else {
            return;
        };
        pending.task = None;
        let lost = Err(JoinError::Rejected(Rejected::Lost));
        let Some((sequence, message)) = record else {
            if pending.record.take().is_some() {
                // Another of this name has taken it, or its time is over.
                self.settle(number, lost);
            } else {
                self.wait_again(number);
            }
            return;
        };
        match Record::read(&message) {
            Ok(Record {
                answer: Some(answer),
                ..
            }) => self.answered_by_record(number, sequence, &answer),
            Ok(_) if is_gone => {
                self.recorded(number, sequence);
                self.wait_again(number);
            }
            Ok(_) => {}
            Err(_) => self.settle(number, lost),
        }
    }

    /// Sends a call, or sends it again.
    pub(super) fn wait_again(&mut self, number: u64) {
        if let Some(pending) = self.calls.get_mut(&number) {
            pending.stage = Stage::Waiting;
            pending.attempt += 1;
            if pending.large.is_some() {
                // It was removed together with the call.
                self.put(number);
            } else {
                self.waiting.push_back(number);
            }
        }
    }

    fn answered_by_record(&mut self, number: u64, record: u64, answer: &Bytes) {
        if let Some(pending) = self.calls.get_mut(&number) {
            pending.record = Some(record);
        }
        match unpack(answer) {
            Ok((ToSubmitter::Answer { answer, large, .. }, body)) => match large {
                Some(large) => self.get(number, None, large),
                None => self.answered(number, None, answer.into_result(body)),
            },
            _ => self.settle(number, Err(JoinError::Rejected(Rejected::Lost))),
        }
    }

    /// Looks for the calls of one function that earlier submitters have left.
    pub(super) fn list(
        &mut self,
        function: &'static str,
        tell: Sender<Result<Told, ClusterError>>,
    ) {
        let Some(durable) = &mut self.durable else {
            let text = "only a cluster with a durable name can resume calls".to_owned();
            let _ = tell.send(Err(ClusterError::Settings(text)));
            return;
        };
        durable.listings += 1;
        let (api, id) = (self.connection.api.clone(), self.id.clone());
        let finds = self.finds.clone();
        tokio::spawn(async move {
            let left = list(api, id, function).await;
            let _ = finds.send(Found::Listing(Listing { left, tell }));
        });
    }

    pub(super) fn listed(&mut self, Listing { left, tell }: Listing) {
        let Some(durable) = &mut self.durable else {
            return;
        };
        durable.listings -= 1;
        let told = left.map(|left| {
            let mut told = Vec::new();
            for (left, argument) in left {
                let number = left.found.number;
                let is_known = self.calls.contains_key(&number)
                    || durable.ended.contains(&number)
                    || durable.unclaimed.contains_key(&number);
                if !is_known {
                    durable.unclaimed.insert(number, left);
                    told.push((number, argument));
                }
            }
            told
        });
        if durable.listings == 0 {
            durable.ended.clear();
        }
        let server = self.connection.settings.server();
        let _ = tell.send(told.map_err(|refusal| ClusterError::Unreachable {
            server,
            cause: refusal.text(),
        }));
    }

    /// Forgets calls that were listed, and that nobody can claim.
    pub(super) fn release(&mut self, numbers: &[u64]) {
        if let Some(durable) = &mut self.durable {
            for number in numbers {
                durable.unclaimed.remove(number);
                durable.answered.remove(number);
            }
        }
    }

    /// Makes calls that were listed those of this submitter.
    pub(super) fn claim(&mut self, claims: Vec<Claim>) {
        let Some(durable) = &mut self.durable else {
            return;
        };
        let attempt = durable.first_attempt();
        let (mut answers, mut answered) = (Vec::new(), Vec::new());
        for Claim {
            number,
            function,
            settle,
        } in claims
        {
            let Some(Left { found, large }) = durable.unclaimed.remove(&number) else {
                continue;
            };
            let call = unpack::<Call>(&found.record.call);
            let pending = Pending {
                function,
                version: call.map_or(0, |(call, _)| call.version),
                unserved: None,
                payload: with_record(&found.record.call, found.sequence),
                has_chunks: large.is_some(),
                large,
                task: None,
                settle,
                place: None,
                stage: Stage::Searched,
                attempt,
                after: 0,
                record: Some(found.sequence),
            };
            self.calls.insert(number, pending);
            let is_answered = durable.answered.remove(&number);
            match found.record.answer {
                Some(answer) => answers.push((number, found.sequence, answer)),
                None if is_answered => answered.push(number),
                None => {}
            }
        }
        for (number, record, answer) in answers {
            self.answered_by_record(number, record, &answer);
        }
        for number in answered {
            self.read_record(number, false);
        }
        let (api, id) = (self.connection.api.clone(), self.id.clone());
        let finds = self.finds.clone();
        tokio::spawn(async move {
            let _ = finds.send(Found::Places(places::find(&api, &id, None).await));
        });
    }

    /// Where the calls are that were claimed; the others are sent, or answered.
    pub(super) fn found_places(&mut self, places: &HashMap<u64, u64>) {
        let mut gone = Vec::new();
        for (number, pending) in &mut self.calls {
            if matches!(pending.stage, Stage::Searched) {
                match places.get(number) {
                    Some(place) => pending.stage = Stage::Stored(*place),
                    None => gone.push(*number),
                }
            }
        }
        for number in gone {
            self.read_record(number, true);
        }
        let durable = self.durable.as_mut();
        for number in durable
            .map(|durable| std::mem::take(&mut durable.cancelled))
            .unwrap_or_default()
        {
            if let Some(place) = places.get(&number) {
                self.delete(*place);
            }
        }
    }
}
