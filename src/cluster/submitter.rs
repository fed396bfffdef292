//! The submitter's side: one task on the client's thread, which sends calls and
//! receives answers.

use super::api::{self, QUEUE_FULL, Refusal, Stored};
use super::connect::{self, Connection, TURN, messages};
use super::error::ClusterError;
use super::large::{self, Large, Running};
use super::message::{Announcement, Answer, ToSubmitter, ToWorker, pack, unpack};
use super::names::Names;
use super::status::{ClusterStatus, WorkerStatus};
use crate::error::{CallError, JoinError, Rejected};
use crate::function::Settle;
use crate::sync::Sender;
use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the callers tell this task.
pub(super) enum Command {
    Call(NewCall),
    Cancel(u64),
    CancelAll(Sender<usize>),
    Status(Sender<Result<ClusterStatus, ClusterError>>),
    Stop,
}

pub(super) struct NewCall {
    pub(super) number: u64,
    pub(super) function: &'static str,
    /// The whole message.
    pub(super) payload: Bytes,
    /// The argument, if it is not in the message.
    pub(super) large: Option<(Large, Bytes)>,
    pub(super) settle: Settle,
    /// In a bounded queue, who waits until the call has its place.
    pub(super) place: Option<Place>,
}

/// What is done about a place in a bounded queue.
pub(super) struct Place {
    pub(super) may_wait: bool,
    pub(super) tell: Sender<Result<(), Rejected>>,
}

/// An answer on its way to the thread that settles.
pub(super) type Settlement = (Settle, Result<Bytes, JoinError>);

/// A call without an answer.
struct Pending {
    function: &'static str,
    /// Since when workers that do not have the function are all that was found.
    unserved: Option<Instant>,
    payload: Bytes,
    large: Option<(Large, Bytes)>,
    /// What stores the argument, or reads the result.
    task: Option<Running>,
    settle: Settle,
    place: Option<Place>,
    stage: Stage,
    /// Grows when a message was lost, for the server drops a second one with
    /// the same id.
    attempt: u32,
}

#[derive(Clone, Copy)]
enum Stage {
    /// To be sent when there is room.
    Waiting,
    /// Sent, and not known to be stored.
    Sent(Instant),
    /// In the stream, under this number.
    Stored(u64),
}

/// What a look at the queue finds.
enum Found {
    /// The server did not answer.
    Nothing,
    /// The stream, made at this time.
    Stream(String),
    /// A call is not there any more under the number it had.
    Gone(u64, u64),
    /// How many calls the queue has, and who asks.
    Calls(
        Result<u64, Refusal>,
        Sender<Result<ClusterStatus, ClusterError>>,
    ),
    /// The argument of a call is stored.
    Put(u64),
    /// The result of a call, or why it could not be read.
    Got {
        number: u64,
        worker: String,
        sequence: u64,
        result: Result<Bytes, Refusal>,
    },
}

/// How many messages are sent ahead of their receipts.
const WINDOW: usize = 1024;

/// How long workers have to say who they are.
const ANSWER: Duration = Duration::from_millis(200);

/// When a full queue is tried again.
const FULL: Duration = Duration::from_millis(20);

pub(super) struct Submitter {
    connection: Connection,
    id: String,
    grace: Duration,
    /// What the workers have announced, and when.
    workers: HashMap<String, (Announcement, Instant)>,
    /// Calls that came back from a worker without their function.
    unserved: Vec<u64>,
    calls: HashMap<u64, Pending>,
    waiting: VecDeque<u64>,
    /// How many calls are [`Stage::Sent`].
    sent: usize,
    /// The last place of a call in the stream.
    highest: u64,
    /// A server that was killed may have left calls that have ended.
    has_leftovers: bool,
    settlements: Sender<Settlement>,
    connected: bool,
    /// Nothing is sent before then.
    pause: Option<Instant>,
    /// When to ask whether the calls are still in the stream.
    check: Option<Instant>,
    /// What a look at the queue has found.
    finds: UnboundedSender<Found>,
    /// Answers that have arrived, by worker.
    arrived: HashMap<String, Vec<u64>>,
}

/// Who a submitter is, and how long it waits for a worker with a function.
pub(super) struct Identity {
    pub(super) id: String,
    pub(super) grace: Duration,
}

/// Serves until told to stop. The subscriptions are that of its own subjects, and
/// that of what workers announce.
pub(super) async fn serve(
    connection: Connection,
    Identity { id, grace }: Identity,
    subscriptions: Vec<Subscriber>,
    mut commands: UnboundedReceiver<Command>,
    settlements: Sender<Settlement>,
) {
    let Ok([mut inbox, mut announcements]) = <[Subscriber; 2]>::try_from(subscriptions) else {
        return;
    };
    let (finds, mut found) = unbounded_channel();
    let period = connection.lease / 3;
    let mut submitter = Submitter {
        connection,
        id,
        grace,
        workers: HashMap::new(),
        unserved: Vec::new(),
        calls: HashMap::new(),
        waiting: VecDeque::new(),
        sent: 0,
        highest: 0,
        has_leftovers: false,
        settlements,
        connected: true,
        pause: None,
        check: None,
        finds,
        arrived: HashMap::new(),
    };
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = Instant::now();
    let mut orders = Vec::new();
    loop {
        let pause = submitter.pause;
        tokio::select! {
            _ = commands.recv_many(&mut orders, TURN) => {
                // None are left when the cluster is gone.
                if orders.is_empty() {
                    return submitter.end().await;
                }
                for command in orders.drain(..) {
                    match command {
                        Command::Stop => return submitter.end().await,
                        command => submitter.obey(command).await,
                    }
                }
            }
            messages = messages(&mut inbox) => {
                if messages.is_empty() {
                    return submitter.end().await;
                }
                for message in messages {
                    submitter.receive(&message);
                }
                submitter.acknowledge().await;
            }
            Some(up) = submitter.connection.up.recv() => submitter.turned(up, period).await,
            messages = messages(&mut announcements) => {
                if messages.is_empty() {
                    return submitter.end().await;
                }
                for message in messages {
                    submitter.announced(&message);
                }
            }
            Some(find) = found.recv() => submitter.found(find).await,
            () = until(pause) => submitter.pause = None,
            _ = tick.tick() => {
                // This process was stopped, and its calls may have been purged.
                if last.elapsed() > 3 * period {
                    submitter.check = Some(Instant::now() + period);
                }
                last = Instant::now();
                submitter.beat().await;
                submitter.send_again(3 * period);
                if submitter.check.is_some_and(|at| at <= last) {
                    submitter.check = None;
                    submitter.look();
                }
                submitter.clean();
                submitter.forget_workers();
                submitter.send_unserved();
            }
        }
        submitter.send_waiting().await;
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

impl Submitter {
    async fn publish(&self, subject: String, payload: Bytes) {
        // Fails only once the client is closed.
        let _ = self.connection.client.publish(subject, payload).await;
    }

    /// The connection was lost, or is there again.
    async fn turned(&mut self, up: bool, period: Duration) {
        let was_up = std::mem::replace(&mut self.connected, up);
        if !up {
            self.accept_sent();
        } else if !was_up {
            self.has_leftovers = true;
            self.beat().await;
            self.send_again(Duration::ZERO);
            self.check = Some(Instant::now() + period);
        }
    }

    /// Tells the workers that this submitter lives.
    async fn beat(&self) {
        if self.connected {
            let alive = self.connection.names.alive();
            self.publish(alive, self.id.clone().into()).await;
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Call(call) => {
                let pending = Pending {
                    function: call.function,
                    unserved: None,
                    payload: call.payload,
                    large: call.large,
                    task: None,
                    settle: call.settle,
                    place: call.place,
                    stage: Stage::Waiting,
                    attempt: 0,
                };
                let is_large = pending.large.is_some();
                self.calls.insert(call.number, pending);
                if is_large {
                    self.put(call.number);
                } else {
                    self.waiting.push_back(call.number);
                }
                if !self.connected || self.pause.is_some() {
                    self.refuse(call.number);
                }
            }
            Command::Cancel(number) => {
                let stage = self.calls.get(&number).map(|pending| pending.stage);
                self.settle(number, Err(JoinError::Cancelled));
                if let Some(Stage::Stored(sequence)) = stage {
                    self.delete(sequence);
                }
                if matches!(stage, Some(Stage::Sent(_) | Stage::Stored(_))) {
                    self.tell_workers(vec![number]).await;
                }
            }
            Command::CancelAll(cancelled) => {
                let numbers: Vec<_> = self.calls.keys().copied().collect();
                let _ = cancelled.send(numbers.len());
                for number in numbers {
                    self.settle(number, Err(JoinError::Cancelled));
                }
                let (api, id) = (self.connection.api.clone(), self.id.clone());
                tokio::spawn(async move { api.purge(&id, None).await });
                self.tell_workers(Vec::new()).await;
            }
            Command::Status(status) => {
                if let Ok(message) = pack(&ToWorker::Announce, &[]) {
                    self.publish(self.connection.names.workers(), message).await;
                }
                let (api, finds) = (self.connection.api.clone(), self.finds.clone());
                let pause = ANSWER.min(self.connection.lease / 3);
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    let stream = api.stream().await;
                    let calls = stream.map(|stream| stream["state"]["messages"].as_u64());
                    let calls = calls.map(|calls| calls.unwrap_or(0));
                    let _ = finds.send(Found::Calls(calls, status));
                });
            }
            Command::Stop => {}
        }
    }

    /// A worker says who it is.
    fn announced(&mut self, message: &Message) {
        if let Ok((announcement, _)) = unpack::<Announcement>(&message.payload) {
            let id = announcement.worker.clone();
            let is_new = self
                .workers
                .insert(id, (announcement, Instant::now()))
                .is_none();
            if is_new {
                self.send_unserved();
            }
        }
    }

    /// Forgets the workers that have been silent.
    fn forget_workers(&mut self) {
        let patience = 2 * self.connection.lease;
        self.workers.retain(|_, (_, at)| at.elapsed() < patience);
    }

    /// A worker does not have the function of a call.
    fn unserved(&mut self, number: u64) {
        if let Some(pending) = self.calls.get_mut(&number) {
            if !matches!(pending.stage, Stage::Stored(_) | Stage::Sent(_)) {
                return;
            }
            if matches!(pending.stage, Stage::Sent(_)) {
                self.sent -= 1;
            }
            pending.stage = Stage::Waiting;
            pending.attempt += 1;
            pending.unserved.get_or_insert_with(Instant::now);
            self.unserved.push(number);
        }
    }

    /// Sends the calls again whose function some worker has, and ends those that
    /// have waited for one for too long.
    fn send_unserved(&mut self) {
        for number in std::mem::take(&mut self.unserved) {
            let Some(pending) = self.calls.get(&number) else {
                continue;
            };
            let function = pending.function;
            let serves = |(worker, _): &(Announcement, Instant)| {
                worker.functions.iter().any(|name| name == function)
            };
            if self.workers.values().any(serves) {
                self.waiting.push_back(number);
            } else if pending
                .unserved
                .is_some_and(|at| at.elapsed() >= self.grace)
            {
                let workers = self.workers.values().map(|(worker, _)| {
                    let Announcement {
                        host,
                        pid,
                        functions,
                        ..
                    } = worker;
                    format!("{host}:{pid} with {}", functions.join(", "))
                });
                let error = CallError::Unserved {
                    function: function.to_owned(),
                    workers: workers.collect(),
                };
                self.settle(number, Err(JoinError::call(error)));
            } else {
                self.unserved.push(number);
            }
        }
    }

    /// What a queue and its workers do.
    fn status(&self, calls: u64) -> ClusterStatus {
        let workers = self.workers.values();
        let mut workers: Vec<_> = workers.map(|(worker, _)| worker.into()).collect();
        workers.sort_by(|a: &WorkerStatus, b| (&a.host, a.pid).cmp(&(&b.host, b.pid)));
        ClusterStatus { calls, workers }
    }

    async fn tell_workers(&self, numbers: Vec<u64>) {
        let cancel = ToWorker::Cancel {
            submitter: self.id.clone(),
            numbers,
        };
        if let Ok(message) = pack(&cancel, &[]) {
            self.publish(self.connection.names.workers(), message).await;
        }
    }

    fn delete(&self, sequence: u64) {
        let api = self.connection.api.clone();
        tokio::spawn(async move { api.delete(sequence).await });
    }

    /// Ends a call, if it has not ended.
    fn settle(&mut self, number: u64, result: Result<Bytes, JoinError>) {
        if let Some(pending) = self.calls.remove(&number) {
            if matches!(pending.stage, Stage::Sent(_)) {
                self.sent -= 1;
            }
            if pending.large.is_some() || pending.task.is_some() {
                self.remove_large(number);
            }
            let _ = self.settlements.send((pending.settle, result));
        }
    }

    fn receive(&mut self, message: &Message) {
        if let Some((number, attempt)) = Names::read_stored(&message.subject) {
            self.stored(number, attempt, message);
            return;
        }
        match unpack(&message.payload) {
            Ok((
                ToSubmitter::Answer {
                    number,
                    worker,
                    sequence,
                    answer,
                    large,
                },
                body,
            )) => {
                self.highest = self.highest.max(sequence);
                if answer == Answer::Unserved {
                    self.arrived.entry(worker).or_default().push(sequence);
                    return self.unserved(number);
                }
                if let Some(large) = large {
                    return self.get(number, worker, sequence, large);
                }
                self.arrived.entry(worker).or_default().push(sequence);
                // Each handle settles once: a second answer finds no call.
                self.settle(number, answer.into_result(body));
                // It made room.
                self.pause = None;
            }
            Ok((ToSubmitter::Moved { number, from, to }, _)) => self.moved(number, from, to),
            Ok((ToSubmitter::Purged, _)) => self.check = Some(Instant::now()),
            // Of another version.
            Err(_) => {}
        }
    }

    /// A worker has given a call back.
    fn moved(&mut self, number: u64, from: u64, to: u64) {
        match self.calls.get_mut(&number) {
            None => self.delete(to),
            Some(pending) => {
                if matches!(pending.stage, Stage::Stored(stored) if stored == from) {
                    pending.stage = Stage::Stored(to);
                }
            }
        }
    }

    /// The server says what became of a message.
    fn stored(&mut self, number: u64, attempt: u32, message: &Message) {
        let answer = match message.status {
            Some(StatusCode::NO_RESPONDERS) => Err(Refusal::NoJetStream),
            _ => api::read::<Stored>(&message.payload),
        };
        let Some(pending) = self.calls.get_mut(&number) else {
            // Ended meanwhile; cancelled, as a rule.
            if let Ok(stored) = answer {
                self.delete(stored.sequence);
            }
            return;
        };
        if pending.attempt != attempt || !matches!(pending.stage, Stage::Sent(_)) {
            return;
        }
        self.sent -= 1;
        match answer {
            Ok(stored) => {
                pending.stage = Stage::Stored(stored.sequence);
                self.highest = self.highest.max(stored.sequence);
                if let Some(place) = pending.place.take() {
                    let _ = place.tell.send(Ok(()));
                }
            }
            Err(refusal) => {
                pending.stage = Stage::Waiting;
                self.waiting.push_front(number);
                let full = matches!(refusal, Refusal::Server { code, .. } if code == QUEUE_FULL);
                let pause = if full {
                    FULL
                } else {
                    self.connection.lease / 3
                };
                self.pause = Some(Instant::now() + pause);
                if !full {
                    self.remake();
                }
                self.refuse(number);
            }
        }
    }

    /// Without a server nobody knows which of the sent calls are stored: those
    /// that may not wait are taken, and sent until they are.
    fn accept_sent(&mut self) {
        for pending in self.calls.values_mut() {
            let is_sent = matches!(pending.stage, Stage::Sent(_));
            let may_not_wait = |place: &mut Place| is_sent && !place.may_wait;
            if let Some(place) = pending.place.take_if(may_not_wait) {
                let _ = place.tell.send(Ok(()));
            }
        }
    }

    /// Gives a call back that may not wait for room.
    fn refuse(&mut self, number: u64) {
        let may_not_wait = |pending: &Pending| {
            let may_wait = pending.place.as_ref().is_none_or(|place| place.may_wait);
            !may_wait && matches!(pending.stage, Stage::Waiting)
        };
        if self.calls.get(&number).is_some_and(may_not_wait) {
            let place = self.calls.remove(&number).and_then(|call| call.place);
            if let Some(place) = place {
                let _ = place.tell.send(Err(Rejected::QueueFull));
            }
        }
    }

    /// Makes the queue again, if a restart of the server has lost it.
    fn remake(&self) {
        let connection = &self.connection;
        let (api, settings) = (connection.api.clone(), connection.settings.clone());
        let finds = self.finds.clone();
        tokio::spawn(async move {
            if let Some(created) = connect::remake(api, settings).await {
                let _ = finds.send(Found::Stream(created));
            }
        });
    }

    /// Tells the workers which answers are here.
    async fn acknowledge(&mut self) {
        for (worker, sequences) in std::mem::take(&mut self.arrived) {
            if let Ok(message) = pack(&ToWorker::Arrived(sequences), &[]) {
                let subject = self.connection.names.to_worker(&worker);
                self.publish(subject, message).await;
            }
        }
    }

    async fn send_waiting(&mut self) {
        while self.connected && self.pause.is_none() && self.sent < WINDOW {
            let Some(number) = self.waiting.pop_front() else {
                return;
            };
            let Some(pending) = self.calls.get_mut(&number) else {
                continue;
            };
            if !matches!(pending.stage, Stage::Waiting) {
                continue;
            }
            pending.stage = Stage::Sent(Instant::now());
            self.sent += 1;
            let (payload, attempt) = (pending.payload.clone(), pending.attempt);
            let names = &self.connection.names;
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", format!("{}.{number}.{attempt}", self.id));
            let _ = self
                .connection
                .client
                .publish_with_reply_and_headers(
                    names.calls_of(&self.id),
                    names.stored(&self.id, number, attempt),
                    headers,
                    payload,
                )
                .await;
        }
    }

    /// Sends again what has been without a receipt for so long. The server
    /// drops it if the first has arrived.
    fn send_again(&mut self, age: Duration) {
        for (number, pending) in &mut self.calls {
            if let Stage::Sent(at) = pending.stage {
                if at.elapsed() >= age {
                    pending.stage = Stage::Waiting;
                    self.sent -= 1;
                    self.waiting.push_back(*number);
                }
            }
        }
    }

    /// Removes what a server that was killed between the acknowledgement and the
    /// removal has kept, once all calls have ended.
    fn clean(&mut self) {
        if !self.has_leftovers || !self.connected || !self.calls.is_empty() {
            return;
        }
        self.has_leftovers = false;
        let (api, id) = (self.connection.api.clone(), self.id.clone());
        // What is sent from now on comes later.
        let before = self.highest + 1;
        tokio::spawn(async move { api.purge(&id, Some(before)).await });
    }

    /// Asks for each stored call whether it is still in the stream.
    fn look(&self) {
        let stored: Vec<_> = self
            .calls
            .iter()
            .filter_map(|(number, pending)| match pending.stage {
                Stage::Stored(sequence) => Some((*number, sequence)),
                _ => None,
            })
            .collect();
        if stored.is_empty() {
            return;
        }
        let connection = &self.connection;
        let (api, settings) = (connection.api.clone(), connection.settings.clone());
        let finds = self.finds.clone();
        let created = self.connection.created.clone();
        tokio::spawn(async move {
            match connect::remake(api.clone(), settings).await {
                Some(now) if now == created => {}
                now => {
                    let _ = finds.send(now.map_or(Found::Nothing, Found::Stream));
                    return;
                }
            }
            for (number, sequence) in stored {
                if let Ok(false) = api.has(sequence).await {
                    let _ = finds.send(Found::Gone(number, sequence));
                }
            }
        });
    }

    async fn found(&mut self, find: Found) {
        match find {
            Found::Nothing => self.check = Some(Instant::now()),
            Found::Stream(created) => self.found_stream(created),
            Found::Gone(number, sequence) => self.lost(number, sequence),
            Found::Calls(calls, status) => {
                let failed = |refusal: Refusal| ClusterError::Unreachable {
                    server: self.connection.settings.server(),
                    cause: refusal.text(),
                };
                let _ = status.send(calls.map(|calls| self.status(calls)).map_err(failed));
            }
            Found::Put(number) => {
                if let Some(pending) = self.calls.get_mut(&number) {
                    pending.task = None;
                    self.waiting.push_back(number);
                }
            }
            Found::Got {
                number,
                worker,
                sequence,
                result,
            } => match result {
                Ok(result) => {
                    self.arrived.entry(worker).or_default().push(sequence);
                    self.settle(number, Ok(result));
                    self.acknowledge().await;
                }
                // The worker repeats its answer.
                Err(_) => {
                    if let Some(pending) = self.calls.get_mut(&number) {
                        pending.task = None;
                    }
                }
            },
        }
    }

    /// Stores the argument of a call, which then is sent.
    fn put(&mut self, number: u64) {
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
    fn get(&mut self, number: u64, worker: String, sequence: u64, large: Large) {
        let Some(pending) = self.calls.get_mut(&number) else {
            // It has ended.
            self.arrived.entry(worker).or_default().push(sequence);
            self.remove_large(number);
            return;
        };
        if pending.task.is_none() {
            let get = large::get(self.connection.api.clone(), self.id.clone(), number, large);
            pending.task = Some(large::run(self.finds.clone(), async move {
                Found::Got {
                    number,
                    worker,
                    sequence,
                    result: get.await,
                }
            }));
        }
    }

    /// Removes what was too large of a call that has ended.
    fn remove_large(&self, number: u64) {
        let (api, id) = (self.connection.api.clone(), self.id.clone());
        tokio::spawn(async move { api.remove_large(&id, Some(number)).await });
    }

    /// Another stream than the one that had the calls: it has none of them.
    fn found_stream(&mut self, created: String) {
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
            self.lost(number, sequence);
        }
    }

    /// Sends a call again that is not in the stream any more and has no answer.
    fn lost(&mut self, number: u64, sequence: u64) {
        if let Some(pending) = self.calls.get_mut(&number) {
            if matches!(pending.stage, Stage::Stored(stored) if stored == sequence) {
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
    }

    /// Nothing is left without an end.
    async fn end(mut self) {
        let numbers: Vec<_> = self.calls.keys().copied().collect();
        for number in numbers {
            self.settle(number, Err(JoinError::Rejected(Rejected::Lost)));
        }
        if self.connected {
            // What is left of its calls, though they have ended.
            let purge = async {
                let _ = self.connection.api.purge(&self.id, None).await;
                self.connection.api.remove_large(&self.id, None).await;
            };
            let _ = tokio::time::timeout(self.connection.lease, purge).await;
        }
    }
}
