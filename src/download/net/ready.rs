//! [`Ready`]: input for ureq that has been read and rewritten.

use ureq::unversioned::transport::Buffers;

/// Input that is there already.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    bytes: Vec<u8>,
    consumed: usize,
    /// Whether the last look at it made use of some.
    has_progress: bool,
}

impl Ready {
    pub(crate) fn is_empty(&self) -> bool {
        self.consumed == self.bytes.len()
    }

    pub(crate) fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
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
