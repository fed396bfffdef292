//! One attempt at one file: the request, the body, the file on the disk.

pub(crate) mod failure;
mod lock;
mod pace;
pub(crate) mod pauses;
pub(crate) mod save;

pub(crate) mod resume;
pub(crate) mod shared;

mod body;

mod ask;

pub(crate) mod attempt;
