//! [`NameError`]: why a file name is refused.

/// Why a file name is refused: on every system, what any of them does not allow.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadErrorKind, Job, NameError, download_many};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (_, folder) = serve(&[]);
/// // No such file can be written on Windows, so none is written anywhere.
/// let job = Job::new((), "https://example.org/aux.txt", "aux.txt");
/// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
/// assert!(matches!(error.kind(), DownloadErrorKind::Name(NameError::Device)));
/// assert_eq!(error.to_string(), "invalid file name: reserved for a device");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("empty")]
    Empty,
    /// The name is `.` or `..`.
    #[error("a relative folder")]
    Relative,
    /// The name contains a `/`, a `\` or a `:`, or is absolute where
    /// [subdirectories](crate::download::DownloaderBuilder::allow_subdirectories) are allowed.
    #[error("contains a path separator")]
    Separator,
    /// The name contains one of the characters `? * < > | "`, which Windows does not
    /// allow.
    #[error("contains one of ? * < > | \"")]
    Character,
    /// The name contains a control character, such as NUL.
    #[error("contains a control character")]
    Control,
    /// The name ends in a dot or a space, which Windows drops.
    #[error("ends in a dot or a space")]
    Trailing,
    /// The name is reserved for a device on Windows, such as `NUL` or `com1.txt`.
    #[error("reserved for a device")]
    Device,
    /// The name is reserved for the temporary files of this crate: it begins with
    /// `.as-completed-`, or with [`resume`](crate::download::DownloaderBuilder::resume), ends in
    /// `.part` or `.part.from`.
    #[error("reserved for temporary files")]
    Temporary,
    /// The name, or one of its folders' names, is longer than 255 bytes; or with
    /// [`resume`](crate::download::DownloaderBuilder::resume), than 245, because the note of a part
    /// has a longer name.
    #[error("longer than 255 bytes, or 245 with resume")]
    TooLong,
}
