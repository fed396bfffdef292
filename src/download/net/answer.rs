//! [`AnswerTransport`]: a connection on which whole answers come, or errors.
//!
//! It stands between ureq and the connection, above TLS. It knows from where on
//! the next answer begins, and hands it on in a form that cannot be mistaken
//! ([`Head`], [`Chunks`]); how long what is no data may take; that a connection
//! cut within TLS is no end; and whether a kept connection is as quiet as it has
//! to be before the next request.

use super::chunks::Chunks;
use super::forward::Forward;
use super::head::{Framing, Head};
use super::ready::Ready;
use super::transport::{Fault, LOOK, deadline_of, left_until, no_later, transmit};
use std::fmt;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// How long the body of an answer that carries no file may take, so that its
/// connection can be used again.
const UNWANTED: Duration = Duration::from_secs(1);

/// What comes next.
#[derive(Debug)]
enum Next {
    Head(Head),
    /// As it comes.
    Body,
    Chunks {
        chunks: Chunks,
        /// When what is no data, as an extension or a trailer, is to have come.
        until: Option<Instant>,
    },
}

/// A connection to a server, or to the proxy that asks it.
pub(crate) struct AnswerTransport {
    inner: Box<dyn Transport>,
    /// How requests are rewritten for a proxy.
    forward: Option<Forward>,
    next: Next,
    /// What has been read and made fit for ureq.
    ready: Ready,
    /// When the body is to have come, where nobody wants it.
    unwanted_until: Option<Instant>,
    /// Whether it was idle before this request, and the server has not said anything
    /// since.
    is_used_again: bool,
}

impl AnswerTransport {
    pub(crate) fn new(inner: Box<dyn Transport>, forward: Option<Forward>) -> Self {
        Self {
            inner,
            forward,
            next: Next::Body,
            ready: Ready::default(),
            unwanted_until: None,
            is_used_again: false,
        }
    }

    /// Prepares an idle connection for another request; returns whether it can have
    /// one. It cannot if anything has come since the last answer, from the server or
    /// out of TLS, which might be taken for the next one.
    pub(crate) fn begin_again(&mut self) -> bool {
        self.is_used_again = true;
        let is_quiet = self.ready.is_empty() && self.inner.buffers().input().is_empty();
        is_quiet
            && match self.inner.await_input(LOOK) {
                Err(ureq::Error::Io(error)) => error.kind() == ErrorKind::WouldBlock,
                _ => false,
            }
    }

    /// Reads what there is, once there is something.
    fn read_more(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let is_silent = matches!(&self.next, Next::Head(head) if head.is_empty());
        let outcome = self.inner.await_input(timeout);
        let is_stale = self.is_used_again && is_silent;
        match outcome {
            Ok(true) => {
                self.is_used_again = false;
                Ok(true)
            }
            Ok(false) if is_stale => {
                Err(Fault::Stale(ErrorKind::UnexpectedEof.into()).into_error())
            }
            Ok(false) => Ok(false),
            Err(error) => Err(fault(error, is_stale)),
        }
    }

    fn await_head(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let deadline = deadline_of(timeout);
        loop {
            let Next::Head(head) = &mut self.next else {
                return Ok(true);
            };
            let buffers = self.inner.buffers();
            let (taken, answered) = head.take(buffers.input())?;
            if taken > 0 {
                buffers.input_consume(taken);
            }
            let Some(answered) = answered else {
                if taken == 0 && !self.read_more(left_until(deadline, timeout)?)? {
                    return Ok(false);
                }
                continue;
            };
            self.ready
                .put(|ready| ready.extend_from_slice(&answered.text));
            let is_wanted = matches!(answered.code, 200 | 206);
            self.unwanted_until = (!is_wanted).then(|| Instant::now() + UNWANTED);
            self.next = match answered.framing {
                Framing::Plain => Next::Body,
                Framing::Chunked => Next::Chunks {
                    chunks: Chunks::new(),
                    until: None,
                },
            };
            return Ok(true);
        }
    }

    fn await_chunks(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let deadline = deadline_of(timeout);
        loop {
            let Next::Chunks { chunks, until } = &mut self.next else {
                return Ok(true);
            };
            let buffers = self.inner.buffers();
            let mut used = Ok(0);
            self.ready
                .put(|ready| used = chunks.take(buffers.input(), ready));
            let used = used?;
            if used > 0 {
                buffers.input_consume(used);
            }
            if chunks.is_ended() {
                self.next = Next::Body;
                return Ok(true);
            }
            if !self.ready.is_empty() {
                *until = None;
                return Ok(true);
            }
            if chunks.is_in_data() {
                *until = None;
            } else if until.is_none() {
                *until = timeout
                    .per_read
                    .and_then(|limit| Instant::now().checked_add(*limit));
            }
            let left = no_later(*until, Timeout::PerRead, left_until(deadline, timeout)?)?;
            let may_end = chunks.may_end_here();
            match self.read_more(left) {
                Ok(true) => {}
                Ok(false) if !may_end => return Ok(false),
                Err(error) if !(may_end && is_reset(&error)) => return Err(error),
                // All data has come.
                _ => {
                    if let Next::Chunks { chunks, .. } = &mut self.next {
                        self.ready.put(|ready| chunks.end(ready));
                    }
                }
            }
        }
    }
}

/// Says what an error of the connection means. ureq would take some for the
/// end of a body whose length nobody knows.
fn fault(error: ureq::Error, is_stale: bool) -> ureq::Error {
    let ureq::Error::Io(error) = error else {
        return error;
    };
    match Fault::take(error) {
        Ok(Fault::Reset(error)) if is_stale => Fault::Stale(error).into_error(),
        Ok(fault) => fault.into_error(),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && is_stale => {
            Fault::Stale(error).into_error()
        }
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Fault::Reset(error).into_error(),
        Err(error) => error.into(),
    }
}

fn is_reset(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if matches!(Fault::of(error), Some(Fault::Reset(_))))
}

impl Transport for AnswerTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        if self.ready.is_empty() && !matches!(self.next, Next::Chunks { .. }) {
            self.inner.buffers()
        } else {
            &mut self.ready
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let is_first_part = !matches!(self.next, Next::Head(_));
        self.next = Next::Head(Head::default());
        self.unwanted_until = None;
        let outcome = match &self.forward {
            Some(forward) if is_first_part => {
                let request = forward.rewrite(&self.inner.buffers().output()[..amount]);
                transmit(&mut *self.inner, &request, timeout)
            }
            _ => self.inner.transmit_output(amount, timeout),
        };
        let is_stale = self.is_used_again;
        outcome.map_err(|error| fault(error, is_stale))
    }

    fn maybe_await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        // What has come of a header is not for ureq before it is whole.
        if !matches!(self.next, Next::Head(_)) && self.buffers().can_use_input() {
            return Ok(true);
        }
        self.await_input(timeout)
    }

    fn await_input(&mut self, mut timeout: NextTimeout) -> Result<bool, ureq::Error> {
        timeout = no_later(self.unwanted_until, Timeout::PerRead, timeout)?;
        match self.next {
            Next::Head(_) => self.await_head(timeout),
            Next::Body => self.read_more(timeout),
            Next::Chunks { .. } => self.await_chunks(timeout),
        }
    }

    /// Whether it is open is found when it [begins again](Self::begin_again).
    fn is_open(&mut self) -> bool {
        true
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// Leaves out what the proxy is told, which is secret.
impl fmt::Debug for AnswerTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerTransport")
            .field("inner", &self.inner)
            .field("is_used_again", &self.is_used_again)
            .finish_non_exhaustive()
    }
}
