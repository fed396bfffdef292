//! The worker's side: one task on the client's thread, which pulls calls, renews
//! their leases and sends answers, whatever the functions do.

// One machine: held, slots.
mod held;
mod outbox;
mod slots;
mod submitters;
mod supply;

// What is done with a call, a file each.
// One machine: answers, bodies, give_back, suspects.
mod answers;
mod bodies;
mod give_back;
mod suspects;

pub(super) use self::slots::Slots;

use self::held::{Held, Stage, Step};
use self::outbox::Outbox;
use self::slots::Request;
use self::submitters::Submitters;
use self::supply::Supply;
use self::suspects::Suspects;
use super::connect::{self, Connection};
use super::delivery::Delivery;
use super::error::ClusterError;
use super::inbox::{TURN, messages};
use super::message::{Announcement, Answer, Call, ToSubmitter, ToWorker, pack, unpack};
use super::names::Names;
use super::queue;
use async_nats::{Message, Subject};
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// A grace that never ends is a year.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

struct Serving<'a> {
    connection: Connection,
    id: String,
    slots: Slots<'a>,
    /// By their sequences.
    held: HashMap<u64, Held>,
    supply: Supply,
    submitters: Submitters,
    outbox: RefCell<Outbox>,
    suspects: Suspects,
    /// Tells what has been done beside the loop.
    steps: UnboundedSender<Step>,
    /// Requests that the end waits for: calls on their way back into the queue, and
    /// removals.
    requests: JoinSet<()>,
    connected: bool,
    is_stopping: bool,
}

/// Serves until `stop` is ready, and then ends what runs, within `grace`.
pub(super) async fn serve(
    mut connection: Connection,
    slots: Slots<'_>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), ClusterError> {
    let id = connect::unique(&connection.client);
    let names = connection.names.clone();
    let subjects = [names.of_worker(&id), names.workers(), names.alive()];
    let [mut mine, mut all, mut alive] = connection.subscribe(subjects).await?;
    let (steps, mut done_beside) = unbounded_channel();
    let period = connection.lease / 3;
    let supply = Supply::new(connection.lease);
    let mut serving = Serving {
        connection,
        id,
        slots,
        held: HashMap::new(),
        supply,
        submitters: Submitters::default(),
        outbox: RefCell::default(),
        suspects: Suspects::new(),
        steps,
        requests: JoinSet::new(),
        connected: true,
        is_stopping: false,
    };
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = Instant::now();
    let mut end = None;
    let mut runs = Vec::new();
    tokio::pin!(stop);
    loop {
        serving.try_suspect();
        serving.pull_more().await;
        tokio::select! {
            () = &mut stop, if end.is_none() => {
                end = Some(tokio::time::Instant::now() + grace.min(FOREVER));
                serving.stop();
            }
            () = async { tokio::time::sleep_until(end.unwrap_or_else(tokio::time::Instant::now)).await },
                if end.is_some() => break,
            messages = messages(&mut mine) => {
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    serving.receive(message).await;
                }
            }
            messages = messages(&mut all) => {
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    serving.told(&message.payload).await;
                }
            }
            messages = messages(&mut alive) => {
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    if let Ok(submitter) = std::str::from_utf8(&message.payload) {
                        serving.submitters.hear(submitter);
                    }
                }
            }
            _ = serving.slots.ended.recv_many(&mut runs, TURN) => {
                for done in runs.drain(..) {
                    serving.ended(done).await;
                }
            }
            Some(overdue) = serving.slots.overdue.recv() => serving.timed_out(&overdue).await,
            Some(next) = done_beside.recv() => serving.step(next).await,
            up = serving.connection.turned() => {
                if let Ok(fresh) = serving.connection.take_subscriptions() {
                    [mine, all, alive] = fresh;
                }
                serving.turned(up);
            }
            _ = tick.tick() => {
                // This process was stopped: others could not be heard.
                if last.elapsed() > 2 * period {
                    serving.submitters.trust_all();
                }
                last = Instant::now();
                serving.renew(period).await;
            }
        }
        serving.send_answers().await;
        if serving.is_stopping && serving.held.is_empty() {
            break;
        }
    }
    serving.end().await;
    Ok(())
}

impl Serving<'_> {
    async fn publish(&self, subject: impl async_nats::subject::ToSubject, payload: Bytes) {
        // Fails only once the client is closed.
        let _ = self.connection.client.publish(subject, payload).await;
    }

    async fn say(&self, held: &Held, word: &'static str) {
        self.publish(held.acknowledge.clone(), word.into()).await;
    }

    /// Asks the server for calls, if there is room for some.
    async fn pull_more(&mut self) {
        if !self.connected || self.is_stopping || self.suspects.are_here() {
            return;
        }
        let slots = &self.slots;
        let next = self
            .supply
            .next(slots.free(), slots.room(), slots.capacity());
        let Some((number, request)) = next else {
            return;
        };
        let names = &self.connection.names;
        let reply = names.pulled(&self.id, number);
        let client = &self.connection.client;
        let _ = client
            .publish_with_reply(names.next(), reply, request)
            .await;
    }

    async fn receive(&mut self, message: Message) {
        let names = &self.connection.names;
        if *message.subject == *names.to_worker(&self.id) {
            return self.told(&message.payload).await;
        }
        if let Some((number, sequence)) = Names::read_answer_recorded(&message.subject) {
            return self.recorded(number, sequence, &message).await;
        }
        let Some(submitter) = names.read_call(&message.subject).map(Arc::from) else {
            return self.pull_ended(&message);
        };
        self.supply.delivered();
        let Some(acknowledge) = message.reply else {
            return;
        };
        self.delivered(submitter, acknowledge, &message.payload)
            .await;
    }

    /// The server says that a pull is over.
    fn pull_ended(&mut self, message: &Message) {
        let number = message.subject.rsplit('.').next().map(str::parse);
        let status = message.status.map_or(0, |status| status.as_u16());
        if let Some(Ok(number)) = number {
            if self.supply.ended(number, status) {
                let connection = &self.connection;
                let made = queue::remake(connection.api.clone(), connection.settings.clone());
                tokio::spawn(made);
            }
        }
    }

    async fn delivered(&mut self, submitter: Arc<str>, acknowledge: Subject, payload: &Bytes) {
        let Some(delivery) = Delivery::read(&acknowledge) else {
            return;
        };
        if let Some(held) = self.held.get_mut(&delivery.sequence) {
            // Its lease had run out, and nobody else has it.
            held.acknowledge = acknowledge;
            return;
        }
        let Ok((call, argument)) = unpack::<Call>(payload) else {
            // Of another version, which another worker may understand.
            return self.leave(acknowledge).await;
        };
        if self.submitters.is_silent(&submitter) {
            // It was on its way here; started, it would only be killed again.
            return self.leave(acknowledge).await;
        }
        let (sequence, number) = (delivery.sequence, call.number);
        self.submitters.expect(&submitter);
        if self.submitters.has_cancelled(&submitter, number) {
            return self.publish(acknowledge, "+ACK".into()).await;
        }
        let lost = u64::from(call.lost) + delivery.deliveries - 1;
        let limit = u64::from(call.deliveries);
        // With a limit of one, whatever a dead worker had is given up.
        let is_suspect = limit > 1 && lost + 1 >= limit;
        if self.is_stopping || (self.suspects.are_here() && !is_suspect) {
            return self.publish_again(submitter, acknowledge, sequence, payload.clone());
        }
        let stage = match self.slots.find(&call.function, call.version) {
            _ if lost >= limit && !is_suspect => {
                let lost = Answer::WorkersLost(call.deliveries);
                self.refused(sequence, number, lost)
            }
            None => self.refused(sequence, number, Answer::Unserved),
            Some(_) if is_suspect => {
                self.suspects.push(sequence);
                Stage::Suspect {
                    deliveries: delivery.deliveries,
                }
            }
            Some(function) => self.begin(sequence, &submitter, function, call, argument),
        };
        let held = Held {
            submitter,
            number,
            acknowledge,
            message: payload.clone(),
            stage,
            is_marked: false,
        };
        if let Stage::Answered { answer, .. } = &held.stage {
            self.answer(sequence, &held, answer.clone()).await;
        }
        self.held.insert(sequence, held);
        if is_suspect {
            self.give_back();
        }
    }

    /// Starts a call, or reads its argument first.
    fn begin(
        &mut self,
        sequence: u64,
        submitter: &Arc<str>,
        function: &'static str,
        call: Call,
        argument: Bytes,
    ) -> Stage {
        let request = Request {
            submitter: Arc::clone(submitter),
            number: call.number,
            caller: call.caller,
            timeout: call.timeout,
        };
        match call.large {
            None => self.slots.start(sequence, function, request, argument),
            Some(large) => self.fetch(sequence, function, request, large),
        }
    }

    /// Something has been done beside the loop.
    async fn step(&mut self, step: Step) {
        match step {
            Step::Fetched {
                sequence,
                function,
                request,
                argument,
            } => self.fetched(sequence, function, request, argument).await,
            Step::Stored { sequence } => self.stored(sequence).await,
            Step::Marked {
                sequence,
                was_marked,
            } => self.marked(sequence, was_marked).await,
        }
    }

    /// A submitter tells something.
    async fn told(&mut self, payload: &Bytes) {
        match unpack(payload) {
            Ok((ToWorker::Arrived(sequences), _)) => {
                for sequence in sequences {
                    let held = self.held.get(&sequence);
                    if held.is_some_and(|held| matches!(held.stage, Stage::Answered { .. })) {
                        if let Some(held) = self.held.remove(&sequence) {
                            self.let_go(&held).await;
                        }
                    }
                }
            }
            Ok((ToWorker::Record(sequences), _)) => {
                for sequence in sequences {
                    if let Some(held) = self.held.get(&sequence) {
                        if let Stage::Answered { answer, .. } = &held.stage {
                            self.record(sequence, held, answer).await;
                        }
                    }
                }
            }
            Ok((ToWorker::Announce, _)) => self.announce().await,
            Ok((ToWorker::Cancel { submitter, numbers }, _)) => {
                let submitter: Arc<str> = submitter.into();
                let is_meant = |held: &Held| {
                    held.submitter == submitter
                        && (numbers.is_empty() || numbers.contains(&held.number))
                };
                self.drop_all(is_meant).await;
                for number in numbers {
                    self.submitters.cancel(&submitter, number);
                }
            }
            // Of another version.
            Err(_) => {}
        }
    }

    /// Says who this worker is and what it does.
    async fn announce(&self) {
        let running = self.held.values().filter_map(|held| match &held.stage {
            Stage::InPool {
                function, started, ..
            } => Some(((*function).to_owned(), started.get()?.elapsed())),
            _ => None,
        });
        let uname = rustix::system::uname();
        let announcement = Announcement {
            worker: self.id.clone(),
            host: uname.nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            slots: self.slots.number(),
            held: self.held.len(),
            functions: self.slots.functions().collect(),
            running: running.collect(),
        };
        if let Ok(message) = pack(&announcement, &[]) {
            self.publish(self.connection.names.announcements(), message)
                .await;
        }
    }

    /// The connection was lost, or is there again.
    fn turned(&mut self, up: bool) {
        let was_up = std::mem::replace(&mut self.connected, up);
        if up && !was_up {
            self.submitters.trust_all();
            self.store_again();
            self.supply.reset();
        }
    }

    /// What is to be done a few times in each lease.
    async fn renew(&mut self, period: Duration) {
        self.supply.renew(period);
        if !self.connected {
            self.submitters.trust_all();
            return;
        }
        if self.slots.are_stuck(period) {
            self.give_back();
        }
        self.give_back_stuck_suspects();
        while self.requests.try_join_next().is_some() {}
        for held in self.held.values() {
            self.say(held, "+WPI").await;
        }
        self.answer_again(period).await;
        self.announce().await;
        self.bury(3 * period).await;
        self.submitters.forget(30 * period);
    }

    /// Drops the calls of submitters that have been silent for a lease.
    async fn bury(&mut self, lease: Duration) {
        for submitter in self.submitters.take_silent(lease) {
            self.drop_all(|held| held.submitter == submitter).await;
            let api = self.connection.api.clone();
            self.requests.spawn(async move {
                api.remove_large(&submitter, None).await;
                api.purge_at_last(&submitter).await;
                // It may live, cut off or stopped, and then sends them again.
                if let Ok(message) = pack(&ToSubmitter::Purged, &[]) {
                    let subject = api.names.to_submitter(&submitter);
                    let _ = api.client().publish(subject, message).await;
                }
            });
        }
    }

    /// Takes no more calls, and gives back those that have not started.
    fn stop(&mut self) {
        self.is_stopping = true;
        self.give_back();
        let waits = |stage: &Stage| matches!(stage, Stage::Suspect { .. } | Stage::Marking { .. });
        self.give_back_where(|_, held| waits(&held.stage));
    }

    /// Gives back what has not ended by now.
    async fn end(mut self) {
        self.send_answers().await;
        for (sequence, held) in std::mem::take(&mut self.held) {
            if matches!(held.stage, Stage::InPool { .. } | Stage::Fetching { .. }) {
                self.stop_run(&held);
                self.send_back(sequence, held);
            }
        }
        let lease = self.connection.lease;
        let requests = async { while self.requests.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(lease, requests).await;
        let _ = tokio::time::timeout(lease, self.connection.client.flush()).await;
    }
}
