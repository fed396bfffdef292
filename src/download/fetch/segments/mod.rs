//! One large file over several connections at a time.
//!
//! The first answer is always one to a request for the whole file, or for what a
//! part lacks. If it shows a large file, a strong validator and a server that
//! honours ranges, its body becomes the first of several connections, and the
//! others ask for ranges of the same version. So a small file costs nothing, and
//! a server that does not honour ranges after all still sends the file once.
//!
//! # States
//!
//! Each byte of the file is *open* (no connection has it), *claimed* (one
//! connection is to receive it), *reserved* (received, and about to be written by
//! that connection) or *written*:
//!
//! ```text
//! open → claimed → reserved → written
//!   ↑       │ ↘ claimed by another: split, or taken over from one that stalls
//!   └───────┘ the connection fails
//! ```
//!
//! # Invariants
//!
//! 1. Every byte is in one of these states, and claimed or reserved by one
//!    connection at most (`plan.rs`, all under one lock).
//! 2. A byte is written only by the connection that has reserved it, and a
//!    reserved byte is never given to another. So a connection that wakes up late
//!    writes nothing into what another has received since.
//! 3. Every answer is of the version that the first answer was of: it has the same
//!    validator and total, or the whole attempt ends with `Changed`.
//! 4. The file is complete when all bytes are written, and no earlier. The
//!    checksum is computed by reading the file itself, in order, behind the
//!    first byte that is not written: what is renamed is what was hashed.
//! 5. The note of the part names only bytes that were written, and synced,
//!    before it was.
//! 6. No thread outlives the attempt: when it ends, those that wait for a server
//!    are stopped.

mod large;
mod plan;

mod board;

mod connection;

mod receive;

pub(crate) use large::Large;
pub(crate) use receive::NoteWritten;
