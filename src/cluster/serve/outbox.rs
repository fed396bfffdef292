//! [`Outbox`]: answers on their way, those to one submitter in one message.

use crate::cluster::message::{ToSubmitter, pack};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// The length of a message of several answers, more or less: it saves much for short
/// ones, and nothing for long ones.
const LONG: usize = 16 * 1024;

/// Answers that are sent at the end of this turn.
#[derive(Default)]
pub(super) struct Outbox(HashMap<Arc<str>, Vec<Bytes>>);

impl Outbox {
    pub(super) fn push(&mut self, submitter: &Arc<str>, answer: Bytes) {
        match self.0.get_mut(submitter) {
            Some(answers) => answers.push(answer),
            None => drop(self.0.insert(Arc::clone(submitter), vec![answer])),
        }
    }

    /// Takes the messages out, none longer than `limit` that has several answers.
    pub(super) fn take(&mut self, limit: usize) -> Vec<(Arc<str>, Bytes)> {
        let mut messages = Vec::new();
        for (submitter, answers) in self.0.drain() {
            let mut rest = &answers[..];
            while !rest.is_empty() {
                let mut length = 0;
                let fits = |answer: &&Bytes| {
                    length += answer.len();
                    length <= limit.min(LONG)
                };
                let number = rest.iter().take_while(fits).count().max(1);
                let (these, others) = rest.split_at(number);
                messages.push((Arc::clone(&submitter), together(these)));
                rest = others;
            }
        }
        messages
    }
}

fn together(answers: &[Bytes]) -> Bytes {
    if let [answer] = answers {
        return answer.clone();
    }
    let head = ToSubmitter::Answers(answers.iter().map(Bytes::len).collect());
    // Numbers can be encoded.
    pack(&head, &answers.concat()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::message::unpack;

    fn lengths(messages: &[(Arc<str>, Bytes)]) -> Vec<usize> {
        let lengths = messages.iter().map(|(_, message)| {
            let Ok((ToSubmitter::Answers(lengths), body)) = unpack(message) else {
                return 1;
            };
            assert_eq!(lengths.iter().sum::<usize>(), body.len());
            lengths.len()
        });
        lengths.collect()
    }

    #[test]
    fn answers_to_one_submitter_go_together_as_long_as_they_are_short() {
        let mut outbox = Outbox::default();
        let (one, other) = (Arc::from("one"), Arc::from("other"));
        for length in [10, 10, 10, 5 * LONG, LONG / 2, LONG / 2, 10] {
            outbox.push(&one, vec![7; length].into());
        }
        outbox.push(&other, vec![8; 10].into());
        let (ones, others): (Vec<_>, Vec<_>) = outbox
            .take(LONG)
            .into_iter()
            .partition(|(to, _)| *to == one);
        assert_eq!(lengths(&ones), [3, 1, 2, 1]);
        assert_eq!(lengths(&others), [1]);
        assert_eq!(others[0].1, vec![8; 10]);
        assert!(outbox.take(LONG).is_empty());
    }
}
