//! [`ConnectionBuffers`]: what has come over a connection, and what is to be sent.
//!
//! ureq's own write zeros into all of both for each connection. These leave that to
//! the operating system, which does it for the pages that are used.

use ureq::unversioned::transport::Buffers;

/// The input and the output of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionBuffers {
    input: Vec<u8>,
    filled: usize,
    consumed: usize,
    /// Whether the last look at the input made use of some.
    has_progress: bool,
    output: Vec<u8>,
}

impl ConnectionBuffers {
    pub(crate) fn new(input: usize, output: usize) -> Self {
        Self {
            input: vec![0; input],
            filled: 0,
            consumed: 0,
            has_progress: false,
            output: vec![0; output],
        }
    }

    /// Makes room at the end, unless what is there fills all of it.
    fn make_room(&mut self) {
        if self.consumed == self.filled {
            self.consumed = 0;
            self.filled = 0;
        } else if self.consumed > 0 && self.filled > self.input.len() / 2 {
            self.input.copy_within(self.consumed..self.filled, 0);
            self.filled -= self.consumed;
            self.consumed = 0;
        }
    }
}

impl Buffers for ConnectionBuffers {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.has_progress = amount > 0;
        self.consumed += amount;
    }

    /// For the body of a request; there is none here.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.make_room();
        (&mut self.input[self.filled..], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.consumed < self.filled && self.has_progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_consumed_stays_in_order() {
        let mut buffers = ConnectionBuffers::new(8, 1);
        let mut sent = 0_u8..;
        let mut received = Vec::new();
        for (appended, consumed) in [(5, 3), (4, 2), (1, 5), (8, 0), (0, 8), (8, 7), (7, 8)] {
            for place in &mut buffers.input_append_buf()[..appended] {
                *place = sent.next().unwrap();
            }
            buffers.input_appended(appended);
            received.extend_from_slice(&buffers.input()[..consumed]);
            buffers.input_consume(consumed);
            assert_eq!(
                buffers.can_use_input(),
                consumed > 0 && !buffers.input().is_empty()
            );
        }
        assert!(buffers.input().is_empty());
        assert_eq!(received, (0..33).collect::<Vec<u8>>());
    }
}
