//! [`Refusal`]: why a request to the server has no answer.

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody listens: `JetStream` is off.
    NoJetStream,
    /// The server answered with an error.
    Server { code: u64, text: String },
    /// It did not arrive, or its answer did not.
    Lost(String),
}

impl Refusal {
    /// Says whether the same request may be granted a little later: in a group of
    /// servers that has no leader yet, or not enough members.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoJetStream => false,
            Self::Server { code, .. } => matches!(*code, NO_PEERS | UNAVAILABLE),
            Self::Lost(_) => true,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::NoJetStream => "JetStream is off".to_owned(),
            Self::Server { text, .. } | Self::Lost(text) => text.clone(),
        }
    }
}

/// Error codes of the server.
pub(super) const NO_STREAM: u64 = 10059;
pub(super) const NO_CONSUMER: u64 = 10014;
pub(super) const NO_MESSAGE: u64 = 10037;
pub(super) const QUEUE_FULL: u64 = 10077;
pub(super) const WRONG_LAST_SEQUENCE: u64 = 10071;
pub(super) const NOT_DELETED: u64 = 10057;
pub(super) const NO_SEQUENCE: u64 = 10043;
pub(super) const NAME_IN_USE: u64 = 10058;
pub(super) const OFF_FOR_ACCOUNT: u64 = 10039;
pub(super) const OFF: u64 = 10076;
pub(super) const NO_PEERS: u64 = 10005;
pub(super) const UNAVAILABLE: u64 = 10008;
