//! [`Link`]: between the threads that make calls, or run their callbacks, and the
//! client.

use super::event::Observer;
use super::large::{LONGEST, Large};
use super::message::{Call, pack};
use super::submitter::{Command, NewCall, Place, Report};
use crate::error::{CallError, JoinError, Rejected};
use crate::function::{Functions, Remote, Settle, current_caller};
use crate::process_pool::check_known;
use crate::sync::{Condvar, Mutex, Receiver, unbounded};
use crate::unwind;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// The callers' end of the client.
pub(super) struct Link {
    pub(super) functions: Functions,
    pub(super) commands: UnboundedSender<Command>,
    pub(super) next: AtomicU64,
    /// The longest argument that travels in its message.
    pub(super) limit: usize,
    /// How many workers may die with a call.
    pub(super) deliveries: u32,
    /// How long a call may run.
    pub(super) call_timeout: Option<Duration>,
    /// Whether a call waits until it has its place in the queue.
    pub(super) is_bounded: bool,
    pub(super) state: Mutex<State>,
    pub(super) idle: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// Calls whose handles have not resolved.
    pub(super) pending: usize,
    pub(super) shut: bool,
}

/// A call as it is sent.
struct Packed {
    version: u32,
    /// The whole message.
    payload: Bytes,
    /// The argument, if it is not in the message.
    large: Option<(Large, Bytes)>,
}

impl Link {
    fn pack(
        &self,
        number: u64,
        function: &'static str,
        argument: Vec<u8>,
    ) -> Result<Packed, CallError> {
        check_known(&self.functions, function)?;
        if argument.len() > LONGEST {
            return Err(CallError::TooLarge {
                function: function.to_owned(),
                part: "argument",
                bytes: argument.len(),
                limit: LONGEST,
            });
        }
        let is_large = argument.len() > self.limit;
        let version = self.functions.version_of(function);
        let version = version.map_or(0, |(_, version)| version);
        let head = Call {
            number,
            function: function.to_owned(),
            version,
            deliveries: self.deliveries,
            lost: 0,
            large: is_large.then(|| Large::new("argument", argument.len(), self.limit)),
            caller: current_caller(),
            timeout: self.call_timeout,
            record: None,
        };
        let body = if is_large { &[][..] } else { &argument };
        let payload = pack(&head, body).map_err(|cause| CallError::Encode {
            function: function.to_owned(),
            part: "argument",
            cause,
        })?;
        let large = head.large.map(|large| (large, argument.into()));
        Ok(Packed {
            version,
            payload,
            large,
        })
    }

    /// One call is less pending.
    fn end_one(&self) {
        let mut state = self.state.lock();
        state.pending -= 1;
        if state.pending == 0 {
            self.idle.notify_all();
        }
    }

    /// Settles what comes, on a thread of its own: it decodes, and runs callbacks
    /// and the observer.
    pub(super) fn settle_all(&self, reports: &Receiver<Report>, mut observer: Option<Observer>) {
        while let Ok(report) = reports.recv() {
            let is_settled = matches!(report, Report::Ended(..));
            let told = unwind::catch(|| match report {
                Report::Ended(settle, Ok(bytes)) => settle(Ok(&bytes)),
                Report::Ended(settle, Err(error)) => settle(Err(error)),
                Report::Event(event) => {
                    if let Some(observer) = &mut observer {
                        observer.tell(event);
                    }
                }
            });
            if let Err(payload) = told {
                unwind::discard(payload);
            }
            if is_settled {
                self.end_one();
            }
        }
    }
}

impl Remote for Link {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn send(
        &self,
        number: u64,
        function: &'static str,
        argument: Vec<u8>,
        settle: Settle,
        may_wait: bool,
    ) -> Result<(), Rejected> {
        let packed = match self.pack(number, function, argument) {
            Ok(packed) => packed,
            Err(error) => {
                settle(Err(JoinError::call(error)));
                return Ok(());
            }
        };
        let mut state = self.state.lock();
        if state.shut {
            return Err(Rejected::ShutDown);
        }
        state.pending += 1;
        drop(state);
        // Nobody waits for a place in a queue that has room for all.
        let (place, placed) = self.is_bounded.then(unbounded).unzip();
        let call = NewCall {
            number,
            function,
            version: packed.version,
            payload: packed.payload,
            large: packed.large,
            settle,
            place: place.map(|tell| Place { may_wait, tell }),
        };
        let sent = self.commands.send(Command::Call(call));
        let refused = match sent {
            // The client has ended.
            Err(_) => Some(Rejected::Lost),
            // Without an answer, the call has ended already.
            Ok(()) => placed.and_then(|placed| placed.recv().unwrap_or(Ok(())).err()),
        };
        match refused {
            None => Ok(()),
            Some(reason) => {
                self.end_one();
                Err(reason)
            }
        }
    }

    fn cancel(&self, number: u64) {
        let _ = self.commands.send(Command::Cancel(number));
    }
}
