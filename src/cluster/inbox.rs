//! The messages of a subscription, one or many at a time.

use async_nats::{Message, Subscriber};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

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
