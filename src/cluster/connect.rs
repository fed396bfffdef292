//! [`Connection`]: to the server, and to a queue there.

use super::api::{Api, Refusal};
use super::error::ClusterError;
use super::inbox;
use super::message::{ToSubmitter, pack};
use super::names::{self, Names};
use super::queue::Queue;
use super::settings::{Login, Settings};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Request, Subscriber};
use std::cell::RefCell;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

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
        queue.compare(settings)?;
        let found = queue.settings(settings);
        Ok(Self {
            client,
            api: api.with_replicas(found.replicas.unwrap_or(1)),
            names,
            lease: queue.lease(),
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
                message = inbox::next(messages) => match message {
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
