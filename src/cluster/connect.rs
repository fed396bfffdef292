//! [`Connection`]: to the server, and to a queue there.

use super::api::Api;
use super::error::ClusterError;
use super::inbox;
use super::large;
use super::line::{self, Line, Replacement, Turned};
use super::message::{ToSubmitter, pack};
use super::names::{self, Names};
use super::queue::Queue;
use super::refusal::Refusal;
use super::settings::Settings;
use async_nats::{Client, Request, Subscriber};
use std::cell::RefCell;
use std::time::Duration;

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
    /// The longest body that travels in its message.
    pub(super) limit: usize,
    line: Line,
    /// To what this client listens.
    subjects: Vec<String>,
    /// Subscriptions of a client that has replaced another, until they are taken.
    fresh: Vec<Subscriber>,
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
        match Queue::make(api, settings).await {
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
        let (client, mut line) = line::dial(settings).await?;
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
                Some(cause) = line.refusals.recv() => {
                    if is_forbidden(&cause) {
                        return Err(ClusterError::Forbidden { server: server(), cause });
                    }
                }
            }
        };
        queue.compare(settings)?;
        let found = queue.settings(settings);
        Ok(Self {
            limit: limit(&client),
            client,
            api: api.with_replicas(found.replicas.unwrap_or(1)),
            names,
            lease: queue.lease(),
            settings: found,
            created: queue.created(),
            line,
            subjects: Vec::new(),
            fresh: Vec::new(),
        })
    }

    /// Listens to these subjects, and to no others once the client is replaced.
    pub(super) async fn subscribe<const N: usize>(
        &mut self,
        subjects: [String; N],
    ) -> Result<[Subscriber; N], ClusterError> {
        let ended = || ClusterError::Start("the client has ended".to_owned());
        let subscriptions = line::subscribe(&self.client, &subjects).await;
        self.subjects = subjects.into();
        let subscriptions = subscriptions.ok_or_else(ended)?;
        subscriptions.try_into().map_err(|_| ended())
    }

    /// Waits until the connection is lost or there again, and says whether it is there.
    /// Then [`take_subscriptions`](Self::take_subscriptions) may have some.
    pub(super) async fn turned(&mut self) -> bool {
        match self.line.turned(&self.settings, &self.subjects).await {
            Turned::Lost => false,
            Turned::Back => {
                self.limit = limit(&self.client);
                true
            }
            Turned::Replaced(replacement) => {
                let Replacement {
                    client,
                    line,
                    subscriptions,
                } = *replacement;
                self.api.replace_client(client.clone());
                self.limit = limit(&client);
                self.client = client;
                self.line = line;
                self.fresh = subscriptions;
                true
            }
        }
    }

    /// Returns the subscriptions of a client that has replaced another: those of the
    /// other hear nothing any more.
    pub(super) fn take_subscriptions<const N: usize>(
        &mut self,
    ) -> Result<[Subscriber; N], Vec<Subscriber>> {
        std::mem::take(&mut self.fresh).try_into()
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
                message = inbox::next(messages) => match message {
                    Some(_) => return Ok(()),
                    None => return Err(ClusterError::Start("the client has ended".to_owned())),
                },
                Some(cause) = self.line.refusals.recv() => {
                    if is_forbidden(&cause) {
                        let server = self.settings.server();
                        return Err(ClusterError::Forbidden { server, cause });
                    }
                }
            }
        }
    }
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

/// The longest body that travels in its message, to the server that is there now.
fn limit(client: &Client) -> usize {
    large::limit(client.server_info().max_payload)
}

/// A name that no other client has.
pub(super) fn unique(client: &Client) -> String {
    let inbox = client.new_inbox();
    inbox.rsplit('.').next().unwrap_or_default().to_owned()
}
