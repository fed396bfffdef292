//! The floor: the same number of messages published, pulled, answered and
//! acknowledged with the bare client.

use crate::server::Server;
use crate::{Result, per_call};
use std::time::Instant;

/// Returns the seconds of a message.
pub fn burst(calls: u64) -> Result<f64> {
    let server = Server::start()?;
    let stream = block_on(create(&server.url))?;
    let _workers = [server.child("floor", "")?, server.child("floor", "")?];
    block_on(submit(&server.url, &stream, calls))
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.enable_all().build()?.block_on(future)
}

async fn create(url: &str) -> Result<String> {
    use async_nats::jetstream::{self, consumer, stream};

    let context = jetstream::new(async_nats::connect(url).await?);
    let config = stream::Config {
        name: "floor".to_owned(),
        subjects: vec!["floor.call".to_owned()],
        retention: stream::RetentionPolicy::WorkQueue,
        ..stream::Config::default()
    };
    let stream = context.create_stream(config).await?;
    let config = consumer::pull::Config {
        durable_name: Some("workers".to_owned()),
        max_ack_pending: -1,
        ..consumer::pull::Config::default()
    };
    stream.create_consumer(config).await?;
    Ok("floor.call".to_owned())
}

/// Publishes all, and waits for as many answers.
async fn submit(url: &str, subject: &str, calls: u64) -> Result<f64> {
    use futures_util::StreamExt as _;

    let client = async_nats::connect(url).await?;
    let mut answers = client.subscribe("floor.answer").await?;
    let mut receipts = client.subscribe("floor.receipt").await?;
    let send = |number: u64| {
        let payload = number.to_le_bytes().to_vec().into();
        client.publish_with_reply(subject.to_owned(), "floor.receipt", payload)
    };
    send(0).await?;
    answers.next().await;
    receipts.next().await;
    let start = Instant::now();
    let (mut sent, mut stored, mut answered) = (0, 0, 0);
    while answered < calls {
        while sent < calls && sent - stored < 1024 {
            send(sent).await?;
            sent += 1;
        }
        tokio::select! {
            _ = answers.next() => answered += 1,
            _ = receipts.next() => stored += 1,
        }
    }
    Ok(per_call(start, calls))
}

/// Pulls, answers and acknowledges.
pub fn work(url: &str) -> Result<()> {
    block_on(serve(url))
}

async fn serve(url: &str) -> Result<()> {
    use async_nats::jetstream::{self, consumer::PullConsumer};
    use futures_util::StreamExt as _;

    let client = async_nats::connect(url).await?;
    let context = jetstream::new(client.clone());
    let consumer: PullConsumer = context.get_consumer_from_stream("workers", "floor").await?;
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(500)
        .messages()
        .await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        client
            .publish("floor.answer", message.payload.clone())
            .await?;
        message.ack().await?;
    }
    Ok(())
}
