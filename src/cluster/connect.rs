//! Connecting to the server, and making the queue there.

use super::api::{Api, NO_CONSUMER, NO_STREAM, Refusal, nanoseconds};
use super::error::ClusterError;
use super::message::{ToSubmitter, pack};
use super::names::{self, CONSUMER, Names};
use super::settings::{Login, Settings, Storage};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Message, Request, Subscriber};
use futures_core::Stream;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The lease of a queue for which none is set.
const LEASE: Duration = Duration::from_secs(3);

/// A message that is sent twice, because its receipt was lost, is stored once
/// if the second comes within this time.
const DUPLICATES: Duration = Duration::from_secs(60);

/// When a group of servers that has no leader is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// A connection to a queue that is there.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) api: Api,
    pub(super) names: Names,
    pub(super) lease: Duration,
    /// As the queue has them.
    pub(super) settings: Settings,
    /// When the stream was made, as the server says it.
    pub(super) created: String,
    /// Whether the connection is up: changes since it was made.
    pub(super) up: UnboundedReceiver<bool>,
    /// What the server has refused since then.
    refusals: UnboundedReceiver<String>,
}

/// A queue, as the server describes it.
struct Queue {
    stream: Value,
    consumer: Value,
}

impl Queue {
    fn created(&self) -> String {
        self.stream["created"].to_string()
    }

    /// The settings that the queue has.
    fn settings(&self, asked: &Settings) -> Settings {
        let config = &self.stream["config"];
        let number = |setting: &str| {
            let number = config[setting].as_u64()?;
            usize::try_from(number).ok()
        };
        Settings {
            lease: self.consumer["config"]["ack_wait"]
                .as_u64()
                .map(Duration::from_nanos),
            // -1 for none.
            queue_capacity: number("max_msgs"),
            replicas: number("num_replicas"),
            storage: match config["storage"].as_str() {
                Some("memory") => Some(Storage::Memory),
                _ => Some(Storage::File),
            },
            ..asked.clone()
        }
    }
}

/// Makes a queue again that the server has lost, and says when it was made.
pub(super) async fn remake(api: Api, settings: Settings) -> Option<String> {
    // Whoever was first has made it; there is another try at the next tick.
    let queue = queue(&api, &settings).await.ok()?;
    Some(queue.created())
}

/// What keeps a client from being connected, if that is known.
#[derive(Default)]
pub(super) struct Obstacle(RefCell<Option<String>>);

impl Obstacle {
    pub(super) fn set(&self, cause: String) {
        self.0.replace(Some(cause));
    }

    pub(super) fn clear(&self) {
        self.0.take();
    }
}

/// Connects, makes the queue if there is none, and does what the client needs `then`;
/// all of it within the connect timeout.
pub(super) async fn connect<T>(
    settings: &Settings,
    then: impl AsyncFnOnce(&mut Connection, &Obstacle) -> Result<T, ClusterError>,
) -> Result<(Connection, T), ClusterError> {
    settings.check()?;
    let obstacle = Obstacle::default();
    let whole = async {
        let mut connection = Connection::open(settings, &obstacle).await?;
        obstacle.clear();
        let then = then(&mut connection, &obstacle).await?;
        Ok((connection, then))
    };
    match tokio::time::timeout(settings.connect_timeout, whole).await {
        Ok(connected) => connected,
        Err(_) => Err(ClusterError::Unreachable {
            server: settings.server(),
            cause: obstacle
                .0
                .take()
                .unwrap_or_else(|| format!("no answer within {:?}", settings.connect_timeout)),
        }),
    }
}

/// Makes the queue, as soon as the servers of a group have agreed who leads.
async fn queue_at_last(
    api: &Api,
    settings: &Settings,
    obstacle: &Obstacle,
) -> Result<Queue, Refusal> {
    loop {
        match queue(api, settings).await {
            Err(refusal) if refusal.may_pass() => {
                obstacle.set(refusal.text());
                tokio::time::sleep(AGAIN).await;
            }
            made => return made,
        }
    }
}

fn is_forbidden(cause: &str) -> bool {
    cause.to_ascii_lowercase().contains("permissions violation")
}

impl Connection {
    async fn open(settings: &Settings, obstacle: &Obstacle) -> Result<Self, ClusterError> {
        let server = || settings.server();
        let failed = |refusal: Refusal| match refusal {
            Refusal::NoJetStream => ClusterError::NoJetStream { server: server() },
            refusal => ClusterError::Queue {
                queue: settings.queue.clone(),
                cause: refusal.text(),
            },
        };
        let (refused, mut refusals) = unbounded_channel();
        let (changes, up) = unbounded_channel();
        let options = options(settings).await?.event_callback(move |event| {
            match event {
                Event::Connected => drop(changes.send(true)),
                Event::Disconnected => drop(changes.send(false)),
                Event::ServerError(error) => drop(refused.send(error.to_string())),
                _ => {}
            }
            std::future::ready(())
        });
        let client =
            options
                .connect(settings.servers.as_slice())
                .await
                .map_err(|error| match error.kind() {
                    ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                        ClusterError::Credentials { server: server() }
                    }
                    _ => ClusterError::Unreachable {
                        server: server(),
                        cause: causes(&error),
                    },
                })?;
        let names = Names::new(&settings.queue);
        let api = Api::new(
            client.clone(),
            names.clone(),
            settings.replicas.unwrap_or(1),
        );
        let mut made = std::pin::pin!(queue_at_last(&api, settings, obstacle));
        // Requests that are not permitted have no answer but this event.
        let queue = loop {
            tokio::select! {
                queue = &mut made => break queue.map_err(failed)?,
                Some(cause) = refusals.recv() => {
                    if is_forbidden(&cause) {
                        return Err(ClusterError::Forbidden { server: server(), cause });
                    }
                }
            }
        };
        compare(settings, &queue)?;
        let found = queue.settings(settings);
        Ok(Self {
            client,
            api: api.with_replicas(found.replicas.unwrap_or(1)),
            names,
            lease: found.lease.unwrap_or(LEASE),
            settings: found,
            created: queue.created(),
            up,
            refusals,
        })
    }

    /// Sends a message to a subject of this client, and waits until it is back: the
    /// server says of no other message, and of no subscription, that it was
    /// accepted.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Forbidden`] if the user lacks the right.
    pub(super) async fn check_rights(
        &mut self,
        subject: String,
        messages: &mut Subscriber,
    ) -> Result<(), ClusterError> {
        let Ok(message) = pack(&ToSubmitter::Present, &[]) else {
            return Ok(());
        };
        let _ = self.client.publish(subject, message).await;
        loop {
            tokio::select! {
                message = next(messages) => match message {
                    Some(_) => return Ok(()),
                    None => return Err(ClusterError::Start("the client has ended".to_owned())),
                },
                Some(cause) = self.refusals.recv() => {
                    if is_forbidden(&cause) {
                        let server = self.settings.server();
                        return Err(ClusterError::Forbidden { server, cause });
                    }
                }
            }
        }
    }
}

/// An error and what is behind it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

async fn options(settings: &Settings) -> Result<ConnectOptions, ClusterError> {
    // The servers of a group are tried one after the other: none that is off may use
    // the time of all.
    let servers = u32::try_from(settings.servers.len()).unwrap_or(u32::MAX);
    let mut options = ConnectOptions::new()
        .name("as-completed")
        .connection_timeout(settings.connect_timeout / servers)
        .reconnect_delay_callback(|attempts| {
            Duration::from_millis(u64::try_from(attempts).unwrap_or(10).min(10) * 50)
        });
    options = match &settings.login {
        Login::None => options,
        Login::User(user, password) => options.user_and_password(user.clone(), password.clone()),
        Login::Token(token) => options.token(token.clone()),
        Login::Nkey(seed) => options.nkey(seed.clone()),
        Login::File(path) => options.credentials_file(path).await.map_err(|error| {
            let path = path.display();
            ClusterError::Settings(format!("cannot read the credentials file {path}: {error}"))
        })?,
    };
    for path in &settings.roots {
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &settings.client_certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

/// Makes stream and consumer where they are absent.
async fn queue(api: &Api, settings: &Settings) -> Result<Queue, Refusal> {
    let stream = match api.stream().await {
        Err(Refusal::Server {
            code: NO_STREAM, ..
        }) => match api.create_stream(&stream_config(api, settings)).await {
            Ok(stream) => stream,
            // Another may have made it meanwhile.
            Err(refusal @ Refusal::Server { .. }) => api.stream().await.map_err(|_| refusal)?,
            Err(refusal) => return Err(refusal),
        },
        other => other?,
    };
    let consumer = match api.consumer(CONSUMER).await {
        Err(Refusal::Server {
            code: NO_CONSUMER, ..
        }) => {
            let config = consumer_config(api, settings);
            match api.create_consumer(CONSUMER, &config).await {
                Ok(consumer) => consumer,
                Err(refusal @ Refusal::Server { .. }) => {
                    api.consumer(CONSUMER).await.map_err(|_| refusal)?
                }
                Err(refusal) => return Err(refusal),
            }
        }
        other => other?,
    };
    if settings.durable.is_some() {
        let storage = stream["config"]["storage"].as_str().unwrap_or("file");
        let most = stream["config"]["max_msgs"].as_u64();
        let most = most.and_then(|calls| usize::try_from(calls).ok());
        let replicas = stream["config"]["num_replicas"].as_u64();
        let replicas = replicas.and_then(|number| usize::try_from(number).ok());
        api.with_replicas(replicas.unwrap_or(1))
            .create_records(storage, most)
            .await?;
    }
    Ok(Queue { stream, consumer })
}

/// Fails if the queue differs from what is set here.
fn compare(settings: &Settings, queue: &Queue) -> Result<(), ClusterError> {
    let (stream, consumer) = (&queue.stream["config"], &queue.consumer["config"]);
    let storage = settings.storage.map(Storage::name);
    for (setting, wanted, found) in [
        ("retention", Some(json!("workqueue")), &stream["retention"]),
        (
            "queue_capacity",
            settings.queue_capacity.map(|calls| json!(calls)),
            &stream["max_msgs"],
        ),
        (
            "replicas",
            settings.replicas.map(|number| json!(number)),
            &stream["num_replicas"],
        ),
        (
            "storage",
            storage.map(|storage| json!(storage)),
            &stream["storage"],
        ),
        (
            "lease",
            settings.lease.map(|lease| json!(nanoseconds(lease))),
            &consumer["ack_wait"],
        ),
    ] {
        if let Some(wanted) = wanted.filter(|wanted| wanted != found) {
            return Err(ClusterError::Mismatch {
                queue: settings.queue.clone(),
                setting,
                wanted: shown(setting, &wanted),
                found: shown(setting, found),
            });
        }
    }
    Ok(())
}

/// A setting as its error names it.
fn shown(setting: &str, value: &Value) -> String {
    match (setting, value.as_u64()) {
        ("lease", Some(nanoseconds)) => format!("{:?}", Duration::from_nanos(nanoseconds)),
        ("queue_capacity", None) => "unbounded".to_owned(),
        _ => value.to_string(),
    }
}

fn stream_config(api: &Api, settings: &Settings) -> Value {
    json!({
        "name": api.names.stream,
        "subjects": [api.names.calls()],
        // A message goes when it is acknowledged.
        "retention": "workqueue",
        "storage": settings.storage.unwrap_or_default().name(),
        "num_replicas": settings.replicas.unwrap_or(1),
        // A full queue refuses the new and keeps the old.
        "discard": "new",
        "max_msgs": settings.queue_capacity.map_or(json!(-1), |calls| json!(calls)),
        "max_bytes": -1,
        "max_consumers": -1,
        "max_msg_size": -1,
        "max_age": 0,
        "duplicate_window": nanoseconds(DUPLICATES),
        "allow_direct": true,
    })
}

fn consumer_config(api: &Api, settings: &Settings) -> Value {
    json!({
        "durable_name": CONSUMER,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": nanoseconds(settings.lease.unwrap_or(LEASE)),
        // The workers count: a message over the limit would stay for ever.
        "max_deliver": -1,
        "max_ack_pending": -1,
        "max_waiting": 4096,
        "filter_subject": api.names.calls(),
        "replay_policy": "instant",
    })
}

/// Says whether a submitter with this durable name lives.
pub(super) async fn is_in_use(connection: &Connection, name: &str, obstacle: &Obstacle) -> bool {
    let lease = connection.lease;
    obstacle.set(format!(
        "a cluster with the durable name {name:?} is connected and does not answer; \
         it counts as gone after the lease of {lease:?}"
    ));
    let subject = connection.names.to_submitter(&names::durable(name));
    let Ok(message) = pack(&ToSubmitter::Present, &[]) else {
        return false;
    };
    // The server says at once if nobody listens; one that is stopped or cut off
    // does not answer.
    let request = Request::new().payload(message).timeout(Some(lease));
    let answer = connection.client.send_request(subject, request).await;
    obstacle.clear();
    answer.is_ok_and(|answer| answer.status.is_none())
}

/// A name that no other client has.
pub(super) fn unique(client: &Client) -> String {
    let inbox = client.new_inbox();
    inbox.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Waits for one message; `None` once the client has ended.
pub(super) async fn next(subscription: &mut Subscriber) -> Option<Message> {
    poll_fn(|context| Pin::new(&mut *subscription).poll_next(context)).await
}

/// Messages that are handled before anything else gets a turn.
pub(super) const TURN: usize = 256;

/// Waits for messages, and returns those that are here; none once the client has
/// ended. Loses none if it is dropped.
pub(super) async fn messages(subscription: &mut Subscriber) -> Vec<Message> {
    poll_fn(|context| {
        let mut messages = Vec::new();
        while messages.len() < TURN {
            match Pin::new(&mut *subscription).poll_next(context) {
                Poll::Ready(Some(message)) => messages.push(message),
                Poll::Pending if messages.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(messages)
    })
    .await
}
