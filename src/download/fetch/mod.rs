//! One attempt at one file: the request, the body, the file on the disk.

pub(crate) mod failure;
pub(crate) mod hosts;
mod lock;
mod pace;
pub(crate) mod pauses;
mod ranges;
pub(crate) mod save;

mod cookies;
pub(crate) mod resume;

pub(crate) mod folder;
pub(crate) mod shared;
pub(crate) mod subdirectory;

mod body;

mod ask;

mod segments;

// One machine: existing, attempt.
pub(crate) mod attempt;
pub(crate) mod existing;
