//! The worker's side: one task on the client's thread, which pulls calls, renews
//! their leases and sends answers, whatever the functions do.

use super::api::{self, Refusal, Stored, WRONG_LAST_SEQUENCE};
use super::connect::{self, Connection, TURN, messages};
use super::held::{Delivery, Held, Stage};
use super::large::{self, LONGEST, Large};
use super::message::{Announcement, Answer, Call, ToSubmitter, ToWorker, pack, unpack};
use super::names::{Names, is_durable};
use super::record::Record;
use crate::error::{CallError, JoinError, TimedOut};
use crate::executor::hand_over;
use crate::function::{Functions, Route};
use crate::task::{CancelToken, Room, launch};
use crate::thread_pool::ThreadPool;
use async_nats::{HeaderMap, Message, Subject};
use bytes::Bytes;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// A run that has ended.
struct Done {
    sequence: u64,
    run: u64,
    function: &'static str,
    result: Result<Vec<u8>, JoinError>,
    took: Duration,
}

/// A run has taken as long as its call may.
struct Overdue {
    sequence: u64,
    run: u64,
    limit: Duration,
}

/// What was too large for a message has moved.
enum Moved {
    Fetched {
        sequence: u64,
        function: &'static str,
        argument: Result<Bytes, Refusal>,
        timeout: Option<Duration>,
    },
    Stored {
        sequence: u64,
    },
}

/// Work that a worker keeps at hand beyond its slots: what it does in this
/// time. Longer calls are left to whoever is free.
const AHEAD: Duration = Duration::from_millis(20);

/// Calls that are kept at hand at most.
const MOST_AHEAD: usize = 512;

/// How long a pull waits at the server for a call.
const PULL: Duration = Duration::from_secs(30);

/// What runs the functions of a worker.
pub(super) struct Slots<'a> {
    pub(super) threads: &'a ThreadPool,
    pub(super) route: Arc<dyn Route>,
    pub(super) functions: Functions,
}

/// A request for calls that is at the server.
struct Pull {
    number: u64,
    /// Calls that are still to come.
    left: usize,
    waits: bool,
    since: Instant,
}

/// What the last pull has shown of the queue.
#[derive(Clone, Copy, PartialEq)]
enum Supply {
    /// There may be calls.
    Unknown,
    /// There is none at the moment.
    Drained,
    /// It cannot be reached: no pull before the next tick.
    Away,
}

struct Serving<'a> {
    connection: Connection,
    id: String,
    slots: Slots<'a>,
    held: HashMap<u64, Held>,
    done: UnboundedSender<Done>,
    overdue: UnboundedSender<Overdue>,
    large: UnboundedSender<Moved>,
    runs: u64,
    /// Calls that are in the pool, those that nobody waits for any more too.
    busy: usize,
    /// Runs that have ended since the last tick.
    has_ended: usize,
    /// The mean duration of a call, recent ones counting more.
    mean: Option<Duration>,
    pull: Option<Pull>,
    pulls: u64,
    supply: Supply,
    connected: bool,
    is_stopping: bool,
    /// When each submitter was last heard of.
    alive: HashMap<Arc<str>, Instant>,
    /// Submitters that were silent for a lease, and since when their calls are being
    /// removed from the queue.
    silent: HashMap<Arc<str>, Instant>,
    /// Calls that are on their way back into the queue.
    moves: JoinSet<()>,
    /// Calls that were cancelled, which may still be delivered.
    cancelled: HashMap<(Arc<str>, u64), Instant>,
}

/// Serves until `stop` is ready, and then ends what runs, within `grace`.
pub(super) async fn serve(
    connection: Connection,
    slots: Slots<'_>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), async_nats::SubscribeError> {
    let id = connect::unique(&connection.client);
    let names = connection.names.clone();
    let mut mine = connection.client.subscribe(names.of_worker(&id)).await?;
    let mut all = connection.client.subscribe(names.workers()).await?;
    let mut alive = connection.client.subscribe(names.alive()).await?;
    let (done, mut ended) = unbounded_channel();
    let (overdue, mut late) = unbounded_channel();
    let (large, mut fetched) = unbounded_channel();
    let period = connection.lease / 3;
    let mut serving = Serving {
        connection,
        id,
        slots,
        held: HashMap::new(),
        done,
        overdue,
        large,
        runs: 0,
        busy: 0,
        has_ended: 0,
        mean: None,
        pull: None,
        pulls: 0,
        supply: Supply::Unknown,
        connected: true,
        is_stopping: false,
        alive: HashMap::new(),
        silent: HashMap::new(),
        moves: JoinSet::new(),
        cancelled: HashMap::new(),
    };
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = Instant::now();
    let mut end = None;
    let mut runs = Vec::new();
    tokio::pin!(stop);
    loop {
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
                    serving.heard(&message);
                }
            }
            _ = ended.recv_many(&mut runs, TURN) => {
                for done in runs.drain(..) {
                    serving.ended(done).await;
                }
            }
            Some(moved) = fetched.recv() => serving.moved(moved).await,
            Some(overdue) = late.recv() => serving.timed_out(&overdue).await,
            Some(up) = serving.connection.up.recv() => {
                if up && !serving.connected {
                    serving.reconnected();
                }
                serving.connected = up;
            }
            _ = tick.tick() => {
                // This process was stopped: others could not be heard.
                if last.elapsed() > 2 * period {
                    serving.trust_all();
                }
                last = Instant::now();
                serving.renew(period).await;
            }
        }
        if serving.is_stopping && serving.held.is_empty() {
            break;
        }
    }
    serving.end().await;
    Ok(())
}

/// A grace that never ends is a year.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Serving<'_> {
    async fn publish(&self, subject: impl async_nats::subject::ToSubject, payload: Bytes) {
        // Fails only once the client is closed.
        let _ = self.connection.client.publish(subject, payload).await;
    }

    async fn say(&self, held: &Held, word: &'static str) {
        self.publish(held.acknowledge.clone(), word.into()).await;
    }

    /// How many calls may be here, waiting ones included.
    fn capacity(&self) -> usize {
        let slots = self.slots.threads.max_workers();
        let ahead = self.mean.map_or(0, |mean| {
            let each = mean.as_nanos().max(1);
            usize::try_from(AHEAD.as_nanos() / each).unwrap_or(MOST_AHEAD)
        });
        slots + ahead.saturating_mul(slots).min(MOST_AHEAD)
    }

    /// Asks the server for calls, if there is room for some.
    async fn pull_more(&mut self) {
        let is_ready = self.connected && !self.is_stopping && self.supply != Supply::Away;
        if !is_ready || self.pull.is_some() {
            return;
        }
        let free = self.slots.threads.max_workers().saturating_sub(self.busy);
        let capacity = self.capacity();
        let room = capacity.saturating_sub(self.busy);
        // Only idle slots wait for calls to come: whoever waits gets the next.
        let waits = self.supply == Supply::Drained;
        let batch = if waits { free } else { room };
        if batch == 0 || (free == 0 && room < capacity / 2) {
            return;
        }
        let expires = u64::try_from(PULL.as_nanos()).unwrap_or(u64::MAX);
        let request = if waits {
            json!({ "batch": batch, "expires": expires })
        } else {
            json!({ "batch": batch, "no_wait": true })
        };
        self.pulls += 1;
        self.pull = Some(Pull {
            number: self.pulls,
            left: batch,
            waits,
            since: Instant::now(),
        });
        let names = &self.connection.names;
        let request = request.to_string().into_bytes().into();
        let reply = names.pulled(&self.id, self.pulls);
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
        if let Some(pull) = &mut self.pull {
            pull.left -= 1;
            if pull.left == 0 {
                self.pull = None;
                self.supply = Supply::Unknown;
            }
        }
        let Some(acknowledge) = message.reply else {
            return;
        };
        self.delivered(submitter, acknowledge, &message.payload)
            .await;
    }

    /// The server says that a pull is over.
    fn pull_ended(&mut self, message: &Message) {
        let number = message.subject.rsplit('.').next().map(str::parse);
        let is_current = self
            .pull
            .as_ref()
            .is_some_and(|pull| number == Some(Ok(pull.number)));
        if !is_current {
            return;
        }
        let status = message.status.map_or(0, |status| status.as_u16());
        match status {
            // No calls, or no more of them.
            404 | 408 => self.supply = Supply::Drained,
            // The consumer is gone, or its server is.
            _ => {
                self.supply = Supply::Away;
                let connection = &self.connection;
                let made = connect::remake(connection.api.clone(), connection.settings.clone());
                tokio::spawn(made);
            }
        }
        self.pull = None;
    }

    /// Leaves a call in the queue, for nobody to try again within a lease.
    async fn refuse(&mut self, acknowledge: Subject) {
        let nanoseconds = self.connection.lease.as_nanos();
        let later = format!("-NAK {{\"delay\": {nanoseconds}}}");
        self.publish(acknowledge, later.into()).await;
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
            return self.refuse(acknowledge).await;
        };
        if self.silent.contains_key(&submitter) {
            // It was on its way here; started, it would only be killed again.
            return self.refuse(acknowledge).await;
        }
        let now = Instant::now();
        // One with a durable name counts once it was heard: it may be away.
        if !is_durable(&submitter) {
            self.alive.entry(Arc::clone(&submitter)).or_insert(now);
        }
        let key = (submitter, call.number);
        if self.cancelled.contains_key(&key) {
            return self.publish(acknowledge, "+ACK".into()).await;
        }
        let (submitter, number) = key;
        if self.is_stopping {
            return self.send_back(submitter, acknowledge, delivery.sequence, payload.clone());
        }
        let function = self
            .slots
            .functions
            .names()
            .find(|name| *name == call.function);
        let lost = u64::from(call.lost) + delivery.deliveries - 1;
        let refused = if lost >= u64::from(call.deliveries) {
            Some(Answer::WorkersLost(call.deliveries))
        } else if function.is_none() {
            Some(Answer::Unserved)
        } else {
            None
        };
        let sequence = delivery.sequence;
        let stage = match (refused, function, call.large) {
            (None, Some(function), None) => self.start(sequence, function, argument, call.timeout),
            (None, Some(function), Some(large)) => {
                self.fetch(sequence, &submitter, number, function, large, call.timeout)
            }
            (refused, ..) => {
                let answer = refused.unwrap_or(Answer::Unserved);
                Stage::Answered {
                    answer: self.pack(number, sequence, answer, None, &[]),
                    result: None,
                    sent: now,
                }
            }
        };
        let held = Held {
            submitter,
            number,
            acknowledge,
            message: payload.clone(),
            stage,
        };
        if let Stage::Answered { answer, .. } = &held.stage {
            self.answer(sequence, &held, answer.clone()).await;
        }
        self.held.insert(sequence, held);
    }

    /// Reads the argument of a call, which then is started.
    fn fetch(
        &mut self,
        sequence: u64,
        submitter: &str,
        number: u64,
        function: &'static str,
        large: Large,
        timeout: Option<Duration>,
    ) -> Stage {
        self.busy += 1;
        let api = self.connection.api.clone();
        let get = large::get(api, submitter.to_owned(), number, large);
        let task = large::run(self.large.clone(), async move {
            let argument = get.await;
            Moved::Fetched {
                sequence,
                function,
                argument,
                timeout,
            }
        });
        Stage::Fetching { task }
    }

    /// An argument is here, or a result is stored.
    async fn moved(&mut self, moved: Moved) {
        match moved {
            Moved::Fetched {
                sequence,
                function,
                argument,
                timeout,
            } => {
                let is_fetching = |held: &Held| matches!(held.stage, Stage::Fetching { .. });
                if !self.held.get(&sequence).is_some_and(is_fetching) {
                    return;
                }
                self.busy -= 1;
                match argument {
                    Ok(argument) => {
                        let stage = self.start(sequence, function, argument, timeout);
                        if let Some(held) = self.held.get_mut(&sequence) {
                            held.stage = stage;
                        }
                    }
                    Err(_) => {
                        // The call has ended, or the server has lost it: then
                        // its submitter sends it again.
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
            Moved::Stored { sequence } => {
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
        }
    }

    /// Stores a result, of which the answer then tells.
    fn store(&self, sequence: u64, held: &Held, answer: Bytes, result: (Large, Bytes)) -> Stage {
        let api = self.connection.api.clone();
        let (large, body) = result.clone();
        let put = large::put(api, held.submitter.to_string(), held.number, large, body);
        let task = large::run(self.large.clone(), async move {
            put.await;
            Moved::Stored { sequence }
        });
        Stage::Storing {
            answer,
            result,
            task,
        }
    }

    /// Stores all large results again that nobody has got yet: the server may
    /// have lost them.
    fn store_again(&mut self) {
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

    /// Hands a call to the pool.
    fn start(
        &mut self,
        sequence: u64,
        function: &'static str,
        argument: Bytes,
        timeout: Option<Duration>,
    ) -> Stage {
        self.runs += 1;
        self.busy += 1;
        let (run, done) = (self.runs, self.done.clone());
        let route = Arc::clone(&self.slots.route);
        let token = CancelToken::new();
        let seen = token.clone();
        let started = Arc::new(OnceLock::new());
        let starts = Arc::clone(&started);
        // On the client's thread, where no function runs.
        let client = tokio::runtime::Handle::current();
        let clock = timeout.map(|limit| (limit, self.overdue.clone(), client));
        let work = move || {
            let start = *starts.get_or_init(Instant::now);
            let clock = clock.map(|(limit, overdue, client)| {
                let late = async move {
                    tokio::time::sleep(limit).await;
                    Overdue {
                        sequence,
                        run,
                        limit,
                    }
                };
                let _entered = client.enter();
                large::run(overdue, late)
            });
            let result = route.call(function, &argument, &seen);
            drop(clock);
            let _ = done.send(Done {
                sequence,
                run,
                function,
                result,
                took: start.elapsed(),
            });
        };
        let threads = self.slots.threads;
        let handle = launch(work, token, |task| hand_over(threads, task, Room::Wait));
        Stage::InPool {
            run,
            handle,
            function,
            started,
        }
    }

    /// Makes the message that answers a call.
    fn pack(
        &self,
        number: u64,
        sequence: u64,
        answer: Answer,
        large: Option<Large>,
        body: &[u8],
    ) -> Bytes {
        let head = ToSubmitter::Answer {
            number,
            worker: self.id.clone(),
            sequence,
            answer,
            large,
        };
        // Texts and numbers can be encoded.
        pack(&head, body).unwrap_or_default()
    }

    /// Sends the answer to a call to its submitter, or to its record if that is
    /// away and will be back.
    async fn answer(&self, sequence: u64, held: &Held, answer: Bytes) {
        if self.is_away(&held.submitter) && self.record(sequence, held, &answer).await {
            return;
        }
        let subject = self.connection.names.to_submitter(&held.submitter);
        self.publish(subject, answer).await;
    }

    /// Says whether nobody with this durable name was heard of for a lease.
    fn is_away(&self, submitter: &str) -> bool {
        let lease = self.connection.lease;
        let heard = self.alive.get(submitter);
        is_durable(submitter) && heard.is_none_or(|heard| heard.elapsed() > lease)
    }

    /// Writes the answer to a durable call into its record, if that is as the call
    /// knows it; says whether the call has one and was answered.
    async fn record(&self, sequence: u64, held: &Held, answer: &Bytes) -> bool {
        let Ok((
            Call {
                number,
                record: Some(record),
                ..
            },
            _,
        )) = unpack(&held.message)
        else {
            return false;
        };
        let is_unserved = |head: &ToSubmitter| {
            matches!(
                head,
                ToSubmitter::Answer {
                    answer: Answer::Unserved,
                    ..
                }
            )
        };
        if unpack(answer).is_ok_and(|(head, _)| is_unserved(&head)) {
            return false;
        }
        let Ok(message) = Record::write(&held.message, answer) else {
            return false;
        };
        let names = &self.connection.names;
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", record.to_string());
        let _ = self
            .connection
            .client
            .publish_with_reply_and_headers(
                names.record(&held.submitter, number),
                names.answer_recorded(&self.id, number, sequence),
                headers,
                message,
            )
            .await;
        true
    }

    /// The server says what became of an answer for a record.
    async fn recorded(&mut self, number: u64, sequence: u64, message: &Message) {
        match api::read::<Stored>(&message.payload) {
            // Or it was taken or cancelled, or answered by another worker.
            Ok(_)
            | Err(Refusal::Server {
                code: WRONG_LAST_SEQUENCE,
                ..
            }) => {}
            // It is repeated.
            Err(_) => return,
        }
        let held = self.held.get(&sequence);
        if held.is_some_and(|held| matches!(held.stage, Stage::Answered { .. })) {
            if let Some(held) = self.held.remove(&sequence) {
                // First, for the call would run again if this was lost.
                if let Ok(recorded) = pack(&ToSubmitter::Recorded(number), &[]) {
                    let subject = self.connection.names.to_submitter(&held.submitter);
                    self.publish(subject, recorded).await;
                }
                self.say(&held, "+ACK").await;
            }
        }
    }

    /// A run has ended.
    async fn ended(&mut self, done: Done) {
        self.busy -= 1;
        self.has_ended += 1;
        let mean = self.mean.unwrap_or(done.took);
        self.mean = Some((mean * 7 + done.took) / 8);
        let Some(held) = self.held.get(&done.sequence) else {
            return;
        };
        if !matches!(held.stage, Stage::InPool { run, .. } if run == done.run) {
            return;
        }
        if matches!(done.result, Err(JoinError::Cancelled)) {
            // It was to be given back, and had started this moment.
            if let Some(held) = self.held.remove(&done.sequence) {
                self.send_back(
                    held.submitter,
                    held.acknowledge,
                    done.sequence,
                    held.message,
                );
            }
            return;
        }
        let (number, submitter) = (held.number, Arc::clone(&held.submitter));
        let (mut answer, mut body) = Answer::of(done.result);
        if body.len() > LONGEST {
            let error = CallError::TooLarge {
                function: done.function.to_owned(),
                part: "result",
                bytes: body.len(),
                limit: LONGEST,
            };
            (answer, body) = Answer::of(Err(JoinError::call(error)));
        }
        let mut limit = large::limit(self.connection.client.server_info().max_payload);
        if is_durable(&submitter) {
            // Its record has both.
            limit = limit.saturating_sub(held.message.len());
        }
        let stage = if body.len() > limit {
            let large = Large::new(&self.id, body.len(), limit);
            let answer = self.pack(number, done.sequence, answer, Some(large.clone()), &[]);
            self.store(done.sequence, held, answer, (large, body.into()))
        } else {
            let answer = self.pack(number, done.sequence, answer, None, &body);
            self.answer(done.sequence, held, answer.clone()).await;
            Stage::Answered {
                answer,
                result: None,
                sent: Instant::now(),
            }
        };
        if let Some(held) = self.held.get_mut(&done.sequence) {
            held.stage = stage;
        }
    }

    /// A run has taken too long: stops it, and answers its call.
    async fn timed_out(&mut self, overdue: &Overdue) {
        let &Overdue {
            sequence,
            run,
            limit,
        } = overdue;
        let is_meant = |held: &Held| matches!(held.stage, Stage::InPool { run: current, .. } if current == run);
        if !self.held.get(&sequence).is_some_and(is_meant) {
            return;
        }
        let Some(mut held) = self.held.remove(&sequence) else {
            return;
        };
        self.stop_run(&held);
        let (answer, _) = Answer::of(Err(JoinError::TimedOut(TimedOut::new(limit))));
        let answer = self.pack(held.number, sequence, answer, None, &[]);
        self.answer(sequence, &held, answer.clone()).await;
        held.stage = Stage::Answered {
            answer,
            result: None,
            sent: Instant::now(),
        };
        self.held.insert(sequence, held);
    }

    /// A submitter tells something.
    async fn told(&mut self, payload: &Bytes) {
        match unpack(payload) {
            Ok((ToWorker::Arrived(sequences), _)) => {
                for sequence in sequences {
                    let held = self.held.get(&sequence);
                    if held.is_some_and(|held| matches!(held.stage, Stage::Answered { .. })) {
                        if let Some(held) = self.held.remove(&sequence) {
                            self.say(&held, "+ACK").await;
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
                let now = Instant::now();
                for number in numbers {
                    self.cancelled.insert((Arc::clone(&submitter), number), now);
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
            slots: self.slots.threads.max_workers(),
            functions: self.slots.functions.names().map(str::to_owned).collect(),
            running: running.collect(),
        };
        if let Ok(message) = pack(&announcement, &[]) {
            self.publish(self.connection.names.announcements(), message)
                .await;
        }
    }

    /// Ends the calls that nobody waits for, and takes them out of the queue.
    async fn drop_all(&mut self, is_meant: impl Fn(&Held) -> bool) {
        let meant: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| is_meant(held))
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in meant {
            if let Some(held) = self.held.remove(&sequence) {
                self.say(&held, "+ACK").await;
                self.stop_run(&held);
            }
        }
    }

    /// Stops a run; says whether it had not started.
    fn stop_run(&mut self, held: &Held) -> bool {
        let had_not_started = match &held.stage {
            // Dropped with what is held.
            Stage::Fetching { .. } => true,
            Stage::InPool { handle, .. } => handle.cancel(),
            Stage::Storing { .. } | Stage::Answered { .. } => return false,
        };
        if had_not_started {
            self.busy -= 1;
        }
        had_not_started
    }

    fn heard(&mut self, message: &Message) {
        if let Ok(id) = std::str::from_utf8(&message.payload) {
            let id: Arc<str> = id.into();
            self.silent.remove(&id);
            self.alive.insert(id, Instant::now());
        }
    }

    /// Nobody could be heard for a while: counts from now.
    fn trust_all(&mut self) {
        let now = Instant::now();
        for heard in self.alive.values_mut() {
            *heard = now;
        }
    }

    fn reconnected(&mut self) {
        self.trust_all();
        self.store_again();
        self.pull = None;
        self.supply = Supply::Unknown;
    }

    /// What is to be done a few times in each lease.
    async fn renew(&mut self, period: Duration) {
        if self.supply == Supply::Away {
            self.supply = Supply::Unknown;
        }
        let lost = |pull: &Pull| {
            let patience = if pull.waits { PULL } else { Duration::ZERO };
            pull.since.elapsed() > patience + 3 * period
        };
        if self.pull.as_ref().is_some_and(lost) {
            self.pull = None;
        }
        if !self.connected {
            self.trust_all();
            return;
        }
        self.give_back_stuck(period);
        while self.moves.try_join_next().is_some() {}
        let now = Instant::now();
        let mut again = Vec::new();
        for (sequence, held) in &mut self.held {
            if let Stage::Answered { answer, sent, .. } = &mut held.stage {
                if now.duration_since(*sent) >= period {
                    *sent = now;
                    again.push((*sequence, answer.clone()));
                }
            }
        }
        for held in self.held.values() {
            self.say(held, "+WPI").await;
        }
        for (sequence, answer) in again {
            if let Some(held) = self.held.get(&sequence) {
                self.answer(sequence, held, answer).await;
            }
        }
        self.announce().await;
        self.bury(3 * period).await;
        self.cancelled.retain(|_, at| at.elapsed() < 30 * period);
        self.silent.retain(|_, at| at.elapsed() < 30 * period);
    }

    /// Gives calls back that wait here behind longer ones: if nothing has ended
    /// since the last tick.
    fn give_back_stuck(&mut self, period: Duration) {
        let is_stuck = self.has_ended == 0 && self.busy > self.slots.threads.max_workers();
        self.has_ended = 0;
        if is_stuck {
            self.mean = self.mean.max(Some(period));
            self.give_back();
        }
    }

    /// Puts the calls that have not started into the queue again.
    ///
    /// As new messages: one that is only refused would count as delivered, as if
    /// this worker had died with it.
    fn give_back(&mut self) {
        let waiting: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| match &held.stage {
                Stage::Fetching { .. } => true,
                Stage::InPool { handle, .. } => !handle.is_running(),
                Stage::Storing { .. } | Stage::Answered { .. } => false,
            })
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in waiting {
            let Some(held) = self.held.remove(&sequence) else {
                continue;
            };
            if self.stop_run(&held) {
                self.send_back(held.submitter, held.acknowledge, sequence, held.message);
            } else {
                // It has started, or ended, this moment.
                self.held.insert(sequence, held);
            }
        }
    }

    fn send_back(&mut self, submitter: Arc<str>, acknowledge: Subject, from: u64, message: Bytes) {
        let lost = Delivery::read(&acknowledge).map_or(0, |delivery| delivery.deliveries - 1);
        let client = self.connection.client.clone();
        let names = self.connection.names.clone();
        self.moves.spawn(async move {
            let sent_back = async {
                let (mut call, argument) = unpack::<Call>(&message)?;
                call.lost += u32::try_from(lost).unwrap_or(u32::MAX);
                let number = call.number;
                let message = pack(&call, &argument)?;
                let stored = client
                    .request(names.calls_of(&submitter), message)
                    .await
                    .map_err(|error| error.to_string())?;
                let stored: Stored =
                    api::read(&stored.payload).map_err(|refusal| refusal.text())?;
                let to = stored.sequence;
                let moved = pack(&ToSubmitter::Moved { number, from, to }, &[])?;
                let _ = client.publish(names.to_submitter(&submitter), moved).await;
                Ok::<(), String>(())
            };
            // A full queue, most often.
            let word = if sent_back.await.is_ok() {
                "+ACK"
            } else {
                "-NAK"
            };
            let _ = client.publish(acknowledge, word.into()).await;
        });
    }

    /// Drops the calls of submitters that have been silent for a lease.
    async fn bury(&mut self, lease: Duration) {
        let silent: Vec<_> = self
            .alive
            .iter()
            .filter(|(_, heard)| heard.elapsed() > lease)
            .map(|(submitter, _)| Arc::clone(submitter))
            .collect();
        for submitter in silent {
            self.alive.remove(&submitter);
            if is_durable(&submitter) {
                continue;
            }
            self.silent.insert(Arc::clone(&submitter), Instant::now());
            self.drop_all(|held| held.submitter == submitter).await;
            let api = self.connection.api.clone();
            let client = self.connection.client.clone();
            tokio::spawn(async move {
                api.remove_large(&submitter, None).await;
                if api.purge(&submitter, None).await.is_ok() {
                    // It may live, cut off or stopped, and then sends them again.
                    if let Ok(message) = pack(&ToSubmitter::Purged, &[]) {
                        let subject = api.names.to_submitter(&submitter);
                        let _ = client.publish(subject, message).await;
                    }
                }
            });
        }
    }

    /// Takes no more calls, and gives back those that have not started.
    fn stop(&mut self) {
        self.is_stopping = true;
        self.give_back();
    }

    /// Gives back what has not ended by now.
    async fn end(mut self) {
        for (_, held) in std::mem::take(&mut self.held) {
            if matches!(held.stage, Stage::InPool { .. } | Stage::Fetching { .. }) {
                self.say(&held, "-NAK").await;
                self.stop_run(&held);
            }
        }
        let last = async {
            while self.moves.join_next().await.is_some() {}
            self.connection.client.flush().await
        };
        let _ = tokio::time::timeout(self.connection.lease, last).await;
    }
}
