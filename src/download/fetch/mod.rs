//! One attempt at one file: the request, the body, the file on the disk.

pub(crate) mod failure;
pub(crate) mod hosts;
mod lock;
mod pace;
pub(crate) mod pauses;
mod ranges;
pub(crate) mod save;

mod cookies;
mod descriptors;
mod validator;

mod resume;

pub(crate) mod part;

pub(crate) mod folder;
pub(crate) mod shared;
pub(crate) mod subdirectory;

mod body;

mod ask;

mod segments;

pub(crate) mod job;

mod decode;
pub(crate) mod existing;

mod saving;

mod attempt;
