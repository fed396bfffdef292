//! [`AnswerTransport`]: a connection on which whole answers come, or errors.
//!
//! It stands between ureq and the connection, above TLS. It knows from where on
//! the next answer begins, and hands it on in a form that cannot be mistaken
//! ([`Head`], [`Chunks`]); how long what is no data may take; that a connection
//! cut within TLS is no end; and whether a kept connection is as quiet as it has
//! to be before the next request.

use super::chunks::Chunks;
use super::head::{Framing, Head};
use super::transport::{Fault, LOOK, deadline_of, left_until, no_later};
use std::fmt;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// How long the body of an answer that carries no file may take, so that its
/// connection can be used again.
const UNWANTED: Duration = Duration::from_secs(1);

/// Between which requests a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lease {
    /// In use, and the server has answered, or it is the first use.
    First,
    /// In the pool.
    Returned,
    /// Taken from the pool; the server has not said anything since.
    Again,
}

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
    /// What is written before the path of each request, where a proxy is asked
    /// for a URL, and after its first line.
    forward: Option<Forward>,
    next: Next,
    /// What has been read and made fit for ureq.
    ready: Ready,
    /// When the body is to have come, where nobody wants it.
    unwanted_until: Option<Instant>,
    lease: Lease,
}

/// How a proxy is asked for a URL.
#[derive(Clone)]
pub(crate) struct Forward {
    /// As in `http://example.org:8080`.
    pub(crate) origin: String,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<String>,
}

impl AnswerTransport {
    pub(crate) fn new(inner: Box<dyn Transport>, forward: Option<Forward>) -> Self {
        Self {
            inner,
            forward,
            next: Next::Body,
            ready: Ready::default(),
            unwanted_until: None,
            lease: Lease::First,
        }
    }

    /// Reads what there is, once there is something.
    fn read_more(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let is_silent = matches!(&self.next, Next::Head(head) if head.is_empty());
        let outcome = self.inner.await_input(timeout);
        let is_stale = self.lease == Lease::Again && is_silent;
        match outcome {
            Ok(true) => {
                self.lease = Lease::First;
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

    /// Writes the request as a proxy is asked.
    fn transmit_forward(
        &mut self,
        forward: &Forward,
        amount: usize,
        timeout: NextTimeout,
    ) -> Result<(), ureq::Error> {
        let request = self.inner.buffers().output()[..amount].to_vec();
        let Some((method, rest)) = split_once(&request, b" ") else {
            return self.inner.transmit_output(amount, timeout);
        };
        let (line, rest) = split_once(rest, b"\r\n").unwrap_or((rest, b""));
        let mut all = [method, b" ", forward.origin.as_bytes(), line, b"\r\n"].concat();
        if let Some(authorization) = &forward.authorization {
            all.extend_from_slice(b"proxy-authorization: ");
            all.extend_from_slice(authorization.as_bytes());
            all.extend_from_slice(b"\r\n");
        }
        all.extend_from_slice(rest);
        transmit(&mut *self.inner, &all, timeout)
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

/// Sends bytes that may be more than there is room for.
pub(crate) fn transmit(
    transport: &mut dyn Transport,
    mut bytes: &[u8],
    timeout: NextTimeout,
) -> Result<(), ureq::Error> {
    while !bytes.is_empty() {
        let output = transport.buffers().output();
        let amount = bytes.len().min(output.len());
        let (now, later) = bytes.split_at(amount);
        output[..amount].copy_from_slice(now);
        transport.transmit_output(amount, timeout)?;
        bytes = later;
    }
    Ok(())
}

fn split_once<'a>(bytes: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(by.len()).position(|part| part == by)?;
    Some((&bytes[..at], &bytes[at + by.len()..]))
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
        let outcome = match self.forward.clone() {
            Some(forward) if is_first_part => self.transmit_forward(&forward, amount, timeout),
            _ => self.inner.transmit_output(amount, timeout),
        };
        let is_stale = self.lease == Lease::Again;
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

    /// ureq asks when it puts a connection into its pool and when it takes it
    /// out. Looking at the connection the second time is enough, and catches what
    /// came in between: also what TLS has decrypted already.
    fn is_open(&mut self) -> bool {
        if self.lease != Lease::Returned {
            self.lease = Lease::Returned;
            return true;
        }
        self.lease = Lease::Again;
        let is_quiet = self.ready.is_empty() && self.inner.buffers().input().is_empty();
        is_quiet
            && match self.inner.await_input(LOOK) {
                Err(ureq::Error::Io(error)) => matches!(Fault::of(&error), Some(Fault::Quiet)),
                _ => false,
            }
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
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// Input that is there already.
#[derive(Debug, Default)]
struct Ready {
    bytes: Vec<u8>,
    consumed: usize,
    /// Whether the last look at it made use of some.
    has_progress: bool,
}

impl Ready {
    fn is_empty(&self) -> bool {
        self.consumed == self.bytes.len()
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_empty() {
            self.bytes.clear();
            self.consumed = 0;
        }
        write(&mut self.bytes);
        self.has_progress = true;
    }
}

/// ureq writes nothing into it.
impl Buffers for Ready {
    fn output(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _amount: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.has_progress = amount > 0;
        self.consumed += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut [], &mut [])
    }

    fn can_use_input(&self) -> bool {
        !self.is_empty() && self.has_progress
    }
}
