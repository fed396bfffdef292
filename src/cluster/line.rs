//! [`Line`]: what is known of a client's connection, and the client that takes its place
//! when it is stuck.
//!
//! A client that has lost its connection makes it again. But it waits without a limit for
//! the first word of whoever accepts it: a server that is stopped, one whose machine is
//! lost at this moment, or a proxy without a server would keep it for good, though the
//! other servers of a group are well. Nothing ends this wait, so that after a while
//! another client is made. What waits is left, and costs a socket.

use super::error::ClusterError;
use super::settings::{Login, Settings};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Subscriber};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

/// How often a client that hears nothing asks whether the server is there: it has lost
/// one that does not answer three times.
const PING: Duration = Duration::from_secs(10);

/// The longest pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);

/// What a client says of its connection.
enum Change {
    Up,
    Down,
    /// An attempt has failed, and the next one comes.
    Failed,
}

/// How a connection has turned.
pub(super) enum Turned {
    Lost,
    Back,
    Replaced(Box<Replacement>),
}

/// A client in the place of one that is stuck.
pub(super) struct Replacement {
    pub(super) client: Client,
    pub(super) line: Line,
    /// In the order of the subjects.
    pub(super) subscriptions: Vec<Subscriber>,
}

pub(super) struct Line {
    changes: UnboundedReceiver<Change>,
    /// What the server has refused; of use while the connection is made.
    pub(super) refusals: UnboundedReceiver<String>,
    is_up: bool,
    /// When the client last said something.
    heard: Instant,
    /// The attempt to replace the client.
    attempt: JoinSet<Option<Replacement>>,
}

impl Line {
    /// Waits until the connection is lost or there again. Loses nothing if it is dropped.
    pub(super) async fn turned(&mut self, settings: &Settings, subjects: &[String]) -> Turned {
        let patience = patience(settings);
        loop {
            let is_tried = !self.attempt.is_empty();
            let end = tokio::time::Instant::from_std(self.heard + patience);
            tokio::select! {
                Some(change) = self.changes.recv() => {
                    self.heard = Instant::now();
                    match change {
                        Change::Up => {
                            self.is_up = true;
                            self.attempt.abort_all();
                            return Turned::Back;
                        }
                        Change::Down => {
                            self.is_up = false;
                            return Turned::Lost;
                        }
                        Change::Failed => {}
                    }
                }
                // Asked for while connecting only; else they would pile up here.
                Some(_) = self.refusals.recv() => {}
                () = tokio::time::sleep_until(end), if !self.is_up && !is_tried => {
                    self.attempt.spawn(replace(settings.clone(), subjects.to_vec()));
                }
                Some(made) = self.attempt.join_next(), if is_tried => match made {
                    Ok(Some(replacement)) if !self.is_up => {
                        return Turned::Replaced(Box::new(replacement));
                    },
                    _ => self.heard = Instant::now(),
                },
            }
        }
    }
}

/// How long a client may say nothing while it has no connection: all servers may be
/// tried meanwhile.
fn patience(settings: &Settings) -> Duration {
    let servers = u32::try_from(settings.servers.len()).unwrap_or(u32::MAX);
    2 * settings.connect_timeout + PAUSE.saturating_mul(2 * servers)
}

async fn replace(settings: Settings, subjects: Vec<String>) -> Option<Replacement> {
    let made = async {
        let (client, line) = dial(&settings).await.ok()?;
        let subscriptions = subscribe(&client, &subjects).await?;
        Some(Replacement {
            client,
            line,
            subscriptions,
        })
    };
    let made = tokio::time::timeout(settings.connect_timeout, made).await;
    made.ok().flatten()
}

/// Subscribes to all of these; `None` if the client has ended.
pub(super) async fn subscribe(client: &Client, subjects: &[String]) -> Option<Vec<Subscriber>> {
    let mut subscriptions = Vec::with_capacity(subjects.len());
    for subject in subjects {
        subscriptions.push(client.subscribe(subject.clone()).await.ok()?);
    }
    Some(subscriptions)
}

/// Connects.
pub(super) async fn dial(settings: &Settings) -> Result<(Client, Line), ClusterError> {
    let server = || settings.server();
    let (refused, refusals) = unbounded_channel();
    let (tell, changes) = unbounded_channel();
    let options = options(settings).await?.event_callback(move |event| {
        match event {
            Event::Connected => drop(tell.send(Change::Up)),
            Event::Disconnected => drop(tell.send(Change::Down)),
            Event::ClientError(_) => drop(tell.send(Change::Failed)),
            Event::ServerError(error) => drop(refused.send(error.to_string())),
            _ => {}
        }
        std::future::ready(())
    });
    let connected = options.connect(settings.servers.as_slice()).await;
    let client = connected.map_err(|error| match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            ClusterError::Credentials { server: server() }
        }
        _ => ClusterError::Unreachable {
            server: server(),
            cause: causes(&error),
        },
    })?;
    let line = Line {
        changes,
        refusals,
        is_up: true,
        heard: Instant::now(),
        attempt: JoinSet::new(),
    };
    Ok((client, line))
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
        .ping_interval(PING)
        .reconnect_delay_callback(|attempts| {
            PAUSE / 10 * u32::try_from(attempts).unwrap_or(10).min(10)
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
