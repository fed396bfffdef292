//! Many requests at the same time.

use super::refusal::Refusal;
use tokio::task::JoinSet;

/// How many requests of one kind are on their way at the same time. If there were very
/// many, the last would time out behind all others, and be made again.
pub(super) const WINDOW: usize = 256;

/// Makes a request for each item, so many at the same time, and returns the answers in
/// any order.
///
/// # Errors
///
/// The first [`Refusal`]; the other requests are dropped.
pub(super) async fn each<I, T, F>(
    most: usize,
    items: impl IntoIterator<Item = I>,
    ask: impl Fn(I) -> F,
) -> Result<Vec<T>, Refusal>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let (mut answers, mut asked) = (Vec::new(), JoinSet::new());
    let mut items = items.into_iter();
    loop {
        if let Some(item) = (asked.len() < most).then(|| items.next()).flatten() {
            asked.spawn(ask(item));
            continue;
        }
        match asked.join_next().await {
            None => return Ok(answers),
            Some(Ok(answer)) => answers.push(answer?),
            Some(Err(error)) => return Err(Refusal::Lost(error.to_string())),
        }
    }
}
