//! Submit work, take results as they finish.
#![forbid(unsafe_code)]
