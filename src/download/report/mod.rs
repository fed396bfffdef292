//! What became of the jobs of a run: an entry each, and the report of all.

mod entry;
#[expect(
    clippy::module_inception,
    reason = "the folder is named after its chief noun"
)]
mod report;

#[cfg(feature = "serde")]
mod data;
mod json;

pub(crate) use entry::{Answered, Outcome};
pub use entry::{DownloadStatus, Entry};
pub use report::{Keep, Report};
