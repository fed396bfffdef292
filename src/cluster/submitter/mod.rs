//! The submitter's side: one task on the client's thread, which sends calls and
//! receives answers.

mod command;

mod pending;
mod removals;

// One machine: answers, bodies, check, durable, found, places, sending, watch, workers.
mod answers;
mod bodies;
mod check;
mod durable;
mod found;
mod places;
mod sending;
mod watch;
mod workers;

pub(super) use self::command::{Claim, Command, NewCall, Place, Report};
pub(super) use self::durable::Durable;

use self::check::Check;
use self::found::Found;
use self::pending::{Pending, Stage};
use self::removals::{Removal, Removals};
use self::watch::Watch;
use super::connect::Connection;
use super::error::ClusterError;
use super::event::ClusterEvent;
use super::inbox::{TURN, messages};
use super::message::{Announcement, ToWorker, pack};
use super::status::ClusterStatus;
use crate::error::{JoinError, Rejected};
use crate::sync::Sender;
use async_nats::{Subject, Subscriber};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long workers have to say who they are.
const ANSWER: Duration = Duration::from_millis(200);

/// Calls that are cancelled by one message, at most.
const CANCELLED: usize = 10_000;

pub(super) struct Submitter {
    connection: Connection,
    id: String,
    /// Of its calls.
    subject: Subject,
    grace: Duration,
    once: Once,
    /// What the workers have announced, and when.
    workers: HashMap<String, (Announcement, Instant)>,
    /// Since when none is there, that anyone could have heard of.
    alone: Instant,
    /// The observer knows that there are none.
    is_alone_told: bool,
    /// Calls that came back from a worker without their function.
    unserved: Vec<u64>,
    calls: HashMap<u64, Pending>,
    waiting: VecDeque<u64>,
    /// How many calls are [`Stage::Sent`].
    sent: usize,
    /// How many searches for calls without a receipt go on: nothing is sent meanwhile.
    searches: usize,
    /// The last place of a call in the stream.
    highest: u64,
    /// A server that was killed may have left calls that have ended.
    has_leftovers: bool,
    reports: Sender<Report>,
    connected: bool,
    /// Nothing is sent before then.
    pause: Option<Instant>,
    check: Check,
    watch: Watch,
    /// What requests have found.
    finds: UnboundedSender<Found>,
    /// Answers that have arrived, by worker.
    arrived: HashMap<String, Vec<u64>>,
    /// Answers that nobody has asked for yet, by worker.
    unclaimed: HashMap<String, Vec<u64>>,
    /// Calls that were cancelled, and that no worker has been told of yet.
    cancelled: Vec<u64>,
    durable: Option<Durable>,
    removals: Removals,
}

/// How a call whose receipt was lost comes to be in the stream once.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Once {
    /// The server stores the messages with one id once.
    ById,
    /// It is sent again only if it is not found.
    BySearch,
}

/// Who a submitter is, and how long it waits for a worker with a function.
pub(super) struct Identity {
    pub(super) id: String,
    pub(super) grace: Duration,
    pub(super) once: Once,
    pub(super) durable: Option<Durable>,
}

/// Serves until told to stop. The subscriptions are that of its own subjects, and
/// that of what workers announce.
pub(super) async fn serve(
    connection: Connection,
    identity: Identity,
    [mut inbox, mut announcements]: [Subscriber; 2],
    mut commands: UnboundedReceiver<Command>,
    reports: Sender<Report>,
) {
    let (finds, mut found) = unbounded_channel();
    let period = connection.lease / 3;
    let mut submitter = Submitter::new(connection, identity, finds, reports);
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
            up = submitter.connection.turned() => {
                if let Ok(fresh) = submitter.connection.take_subscriptions() {
                    [inbox, announcements] = fresh;
                }
                submitter.turned(up, period).await;
            }
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
            // There is room for the next.
            true = submitter.removals.next(), if submitter.removals.are_waiting() => {}
            _ = tick.tick() => {
                submitter.tick(last.elapsed(), period).await;
                last = Instant::now();
            }
        }
        submitter.send_waiting().await;
        submitter.send_cancelled().await;
        submitter.start_removals();
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

impl Submitter {
    fn new(
        connection: Connection,
        identity: Identity,
        finds: UnboundedSender<Found>,
        reports: Sender<Report>,
    ) -> Self {
        Self {
            subject: connection.names.calls_of(&identity.id).into(),
            connection,
            id: identity.id,
            grace: identity.grace,
            once: identity.once,
            workers: HashMap::new(),
            alone: Instant::now(),
            is_alone_told: false,
            unserved: Vec::new(),
            calls: HashMap::new(),
            waiting: VecDeque::new(),
            sent: 0,
            searches: 0,
            highest: 0,
            has_leftovers: false,
            reports,
            connected: true,
            pause: None,
            check: Check::default(),
            watch: Watch::new(),
            finds,
            arrived: HashMap::new(),
            unclaimed: HashMap::new(),
            cancelled: Vec::new(),
            durable: identity.durable,
            removals: Removals::default(),
        }
    }

    async fn publish(&self, subject: String, payload: Bytes) {
        // Fails only once the client is closed.
        let _ = self.connection.client.publish(subject, payload).await;
    }

    /// What is to be done a few times in each lease.
    async fn tick(&mut self, since: Duration, period: Duration) {
        // This process was stopped, and its calls may have been purged.
        if since > 3 * period {
            self.check.after(period);
            self.trust_workers();
        }
        self.beat().await;
        self.send_again(3 * period);
        if self.check.is_due() {
            self.look();
        }
        self.watch();
        self.clean();
        self.forget_workers();
        self.send_unserved();
    }

    /// The connection was lost, or is there again.
    async fn turned(&mut self, up: bool, period: Duration) {
        let was_up = std::mem::replace(&mut self.connected, up);
        if up != was_up {
            self.tell(if up {
                ClusterEvent::Connected
            } else {
                ClusterEvent::Disconnected
            });
        }
        if !up {
            self.accept_sent();
        } else if !was_up {
            self.has_leftovers = true;
            self.beat().await;
            self.send_again(Duration::ZERO);
            self.check.after(period);
        }
    }

    /// Tells the observer, on the thread of callbacks.
    fn tell(&self, event: ClusterEvent) {
        let _ = self.reports.send(Report::Event(event));
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
            Command::Call(call) => self.accept(call),
            Command::Cancel(number) => self.cancel(number),
            Command::CancelAll(count) => self.cancel_all(&count).await,
            Command::Status(tell) => self.ask_for_status(tell).await,
            Command::List(function, tell) => self.list(function, tell),
            Command::Claim(claims) => self.claim(claims),
            Command::Release(numbers) => self.release(&numbers),
            Command::Stop => {}
        }
    }

    fn accept(&mut self, call: NewCall) {
        let number = call.number;
        let is_large = call.large.is_some();
        let pending = Pending {
            function: call.function,
            version: call.version,
            unserved: None,
            payload: call.payload,
            has_chunks: is_large,
            large: call.large,
            task: None,
            settle: call.settle,
            place: call.place,
            stage: Stage::Waiting,
            attempt: self.durable.as_ref().map_or(0, Durable::first_attempt),
            after: 0,
            record: None,
        };
        self.calls.insert(number, pending);
        if is_large {
            self.put(number);
        } else {
            self.waiting.push_back(number);
        }
        if !self.connected || self.pause.is_some() {
            self.refuse(number);
        }
    }

    fn cancel(&mut self, number: u64) {
        let Some(stage) = self.calls.get(&number).map(|pending| pending.stage) else {
            return;
        };
        self.settle(number, Err(JoinError::Cancelled));
        if let Stage::Stored(sequence) = stage {
            self.delete(sequence);
        }
        // No worker can have one that was never sent.
        if !matches!(stage, Stage::Waiting) {
            self.cancelled.push(number);
        }
    }

    async fn cancel_all(&mut self, count: &Sender<usize>) {
        let numbers: Vec<_> = self.calls.keys().copied().collect();
        let _ = count.send(numbers.len());
        for number in &numbers {
            let stage = self.calls.get(number).map(|pending| pending.stage);
            if let Some(Stage::Stored(sequence)) = stage {
                self.delete(sequence);
            }
            self.settle(*number, Err(JoinError::Cancelled));
        }
        if self.durable.is_none() {
            return self.tell_workers(Vec::new()).await;
        }
        // Not those that earlier submitters of this name have left: without
        // numbers it would be all.
        self.cancelled.extend(numbers);
    }

    /// Asks the workers and the server what they do; the answer is put together when
    /// both have had their time.
    async fn ask_for_status(&self, tell: Sender<Result<ClusterStatus, ClusterError>>) {
        if !self.connected {
            let _ = tell.send(Err(ClusterError::Unreachable {
                server: self.connection.settings.server(),
                cause: "the connection is lost".to_owned(),
            }));
            return;
        }
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
            let _ = finds.send(Found::Calls(calls, tell));
        });
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

    /// Tells the workers what was cancelled; all of one turn in one message, if that is
    /// not too long.
    async fn send_cancelled(&mut self) {
        let numbers = std::mem::take(&mut self.cancelled);
        for numbers in numbers.chunks(CANCELLED) {
            self.tell_workers(numbers.to_vec()).await;
        }
    }

    fn start_removals(&mut self) {
        self.removals.start(&self.connection.api, &self.id);
    }

    fn delete(&mut self, sequence: u64) {
        self.removals.push(Removal::Call(sequence));
    }

    /// Ends a call, if it has not ended.
    fn settle(&mut self, number: u64, result: Result<Bytes, JoinError>) {
        if let Some(pending) = self.calls.remove(&number) {
            self.watch = Watch::new();
            if matches!(pending.stage, Stage::Sent(_)) {
                self.sent -= 1;
            }
            self.removals.push_of(number, &pending);
            if let Some(durable) = &mut self.durable {
                durable.ended(number, pending.stage);
            }
            let _ = self.reports.send(Report::Ended(pending.settle, result));
        }
    }

    /// Nothing is left without an end.
    async fn end(mut self) {
        let numbers: Vec<_> = self.calls.keys().copied().collect();
        for number in numbers {
            if self.durable.is_some() {
                // What it has at the server is for the next of this name.
                if let Some(pending) = self.calls.get_mut(&number) {
                    pending.record = None;
                    pending.has_chunks = false;
                }
            }
            self.settle(number, Err(JoinError::Rejected(Rejected::Lost)));
        }
        self.start_removals();
        // The workers remove what a submitter without a durable name has left.
        if !self.connected && (self.durable.is_none() || self.removals.are_done()) {
            return;
        }
        let longest = self.connection.settings.connect_timeout;
        let last = async {
            self.send_cancelled().await;
            if self.durable.is_none() {
                // What is left of its calls, though they have ended.
                let api = &self.connection.api;
                api.purge_at_last(&self.id).await;
                return api.remove_large(&self.id, None).await;
            }
            // Nobody else removes what belonged to the calls that have ended.
            self.removals.end(&self.connection.api, &self.id).await;
            let _ = self.connection.client.flush().await;
        };
        let _ = tokio::time::timeout(longest, last).await;
    }
}
