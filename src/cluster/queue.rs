//! [`Queue`]: the stream and the consumer of a queue, as they are made and as they are
//! found.

use super::api::{Api, nanoseconds};
use super::error::ClusterError;
use super::names::CONSUMER;
use super::refusal::{NO_CONSUMER, NO_STREAM, Refusal};
use super::settings::{Settings, Storage};
use serde_json::{Value, json};
use std::time::Duration;

/// The lease of a queue for which none is set.
const LEASE: Duration = Duration::from_secs(3);

/// A message that is sent twice, because its receipt was lost, is stored once
/// if the second comes within this time.
const DUPLICATES: Duration = Duration::from_secs(60);

/// A queue, as the server describes it.
pub(super) struct Queue {
    stream: Value,
    consumer: Value,
}

impl Queue {
    /// Makes stream and consumer where they are absent.
    pub(super) async fn make(api: &Api, settings: &Settings) -> Result<Self, Refusal> {
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
                // Tried again where another makes the stream at the moment: one like
                // ours, for those that an administrator has made may not be read so.
                if stream["config"]["allow_direct"] == true {
                    api.check_whole().await?;
                }
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
        Ok(Self { stream, consumer })
    }

    /// Fails if the queue differs from what is set here.
    pub(super) fn compare(&self, settings: &Settings) -> Result<(), ClusterError> {
        let (stream, consumer) = (&self.stream["config"], &self.consumer["config"]);
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

    /// When the stream was made, as the server says it.
    pub(super) fn created(&self) -> String {
        self.stream["created"].to_string()
    }

    /// How long a worker may be silent.
    pub(super) fn lease(&self) -> Duration {
        let lease = self.consumer["config"]["ack_wait"].as_u64();
        lease.map_or(LEASE, Duration::from_nanos)
    }

    /// The settings that the queue has.
    pub(super) fn settings(&self, asked: &Settings) -> Settings {
        let config = &self.stream["config"];
        let number = |setting: &str| {
            let number = config[setting].as_u64()?;
            usize::try_from(number).ok()
        };
        Settings {
            lease: Some(self.lease()),
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
    let queue = Queue::make(&api, &settings).await.ok()?;
    Some(queue.created())
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
