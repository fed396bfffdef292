//! [`Delivery`]: what the server says of a message that it has delivered.

/// What the subject for acknowledging tells about a delivery.
pub(super) struct Delivery {
    pub(super) sequence: u64,
    /// How often the message was delivered, this time included.
    pub(super) deliveries: u64,
}

impl Delivery {
    /// Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…`, where
    /// newer servers have two words more before the stream.
    pub(super) fn read(subject: &str) -> Option<Self> {
        let words = subject.strip_prefix("$JS.ACK.")?.split('.');
        let skip = if words.clone().count() >= 9 { 4 } else { 2 };
        let mut words = words.skip(skip);
        Some(Self {
            deliveries: words.next()?.parse().ok()?,
            sequence: words.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_subjects_are_read() {
        for subject in [
            "$JS.ACK.as_completed_q.workers.2.17.40.1700000000000000000.5",
            "$JS.ACK._.hash.as_completed_q.workers.2.17.40.1700000000000000000.5",
            "$JS.ACK._.hash.as_completed_q.workers.2.17.40.1700000000000000000.5.random",
        ] {
            let delivery = Delivery::read(subject).unwrap();
            assert_eq!((delivery.deliveries, delivery.sequence), (2, 17));
        }
        assert!(Delivery::read("$JS.ACK.short").is_none());
        assert!(Delivery::read("_INBOX.x").is_none());
    }
}
