//! [`Job`]: one file to download.

use super::error::{DownloadErrorKind, Subject};
use super::sum::Sum;
use super::text::without_password;
use std::any::Any;
use std::fmt;

/// One file to download: a key, its URL, and the name under which it is saved.
///
/// The key is a value of the caller's choice that identifies the file: a country
/// code or a row number, for example. Every event and the report contain it.
///
/// A job may also require a length, a checksum or a type: a file that does not
/// match is not saved.
///
/// # Examples
///
/// ```
/// use as_completed::download::Job;
///
/// let job = Job::new("BR", "https://example.org/br/br.gif", "BR.gif")
///     .content_type("image/gif")
///     .content_length(1_024);
/// assert_eq!(*job.key(), "BR");
/// assert_eq!(job.file_name(), "BR.gif");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a job does nothing until it is downloaded"]
pub struct Job<K> {
    key: K,
    wanted: Wanted,
}

/// Replaces a password in the URL by asterisks.
impl<K: fmt::Debug> fmt::Debug for Job<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("key", &self.key)
            .field("url", &without_password(self.url()))
            .field("file_name", &self.file_name())
            .field("required", &self.wanted.required)
            .finish()
    }
}

/// The file of a job, whatever the type of its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) url: String,
    pub(super) file_name: String,
    /// Boxed, since most jobs require nothing.
    required: Option<Box<Required>>,
}

/// The checksum that a job requires, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RequiredSum {
    Sha256(String),
    Sha512(String),
}

/// What a job requires of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Required {
    sum: Option<RequiredSum>,
    content_length: Option<u64>,
    content_type: Option<String>,
}

impl<K> Job<K> {
    /// Creates a job that downloads `url` into the file `file_name`.
    ///
    /// The URL is an http or https one. Characters that no URL may contain, such as a
    /// space, are percent-encoded. A user name in it is refused: use the
    /// [header](super::DownloaderBuilder::header) `Authorization`. The name is relative
    /// to the downloader's folder.
    ///
    /// Neither is checked here. A URL that cannot be used, a name that leads
    /// out of the folder or that some operating system does not allow (see
    /// [`NameError`](super::NameError)), and a name that an earlier job of the run has
    /// make the job fail before any request is made.
    ///
    /// # Examples
    ///
    /// A name that leads out of the folder is refused:
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Job, NameError, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let job = Job::new((), "https://example.org/passwd", "../../etc/passwd");
    /// let report = download_many(&Inline, &folder, [job])?;
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::Name(NameError::Separator)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(key: K, url: impl Into<String>, file_name: impl Into<String>) -> Self {
        Self {
            key,
            wanted: Wanted {
                url: url.into(),
                file_name: file_name.into(),
                required: None,
            },
        }
    }

    /// Requires the file to have this SHA-256, in 64 hexadecimal digits of either case.
    /// Replaces a SHA-512.
    ///
    /// A file that exists and has this checksum is not downloaded again. A file that is
    /// downloaded and has another is not saved, and the job fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif");
    /// // The checksum of an empty file, which the server's is not.
    /// let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    /// let report = download_many(&Inline, &folder, [job.sha256(empty)])?;
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::Sha256 { expected, .. } if expected == empty));
    /// assert!(!folder.join("BR.gif").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sha256(mut self, sha256: impl Into<String>) -> Self {
        self.required().sum = Some(RequiredSum::Sha256(sha256.into()));
        self
    }

    /// Requires the file to have this SHA-512, in 128 hexadecimal digits of either case.
    /// Replaces a SHA-256.
    ///
    /// A file that exists and has this checksum is not downloaded again. A file that is
    /// downloaded and has another is not saved, and the job fails.
    ///
    /// # Examples
    ///
    /// What is no checksum is reported before any request is made:
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let job = Job::new("BR", "https://example.org/br.gif", "BR.gif").sha512("unknown");
    /// let report = download_many(&Inline, &folder, [job])?;
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::InvalidSha512));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sha512(mut self, sha512: impl Into<String>) -> Self {
        self.required().sum = Some(RequiredSum::Sha512(sha512.into()));
        self
    }

    /// Requires the file to be of this length, in bytes.
    ///
    /// A body of another length is not saved. If the server announces another length,
    /// the body is not read.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/br.gif", "200 OK", "GIF89a")]);
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif").content_length(1_024);
    /// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::Length { expected: 1_024, actual: 6 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.required().content_length = Some(bytes);
        self
    }

    /// Requires the server to send this content type, as in `image/gif`; case and
    /// parameters such as `; charset=` are ignored. The file is not saved if the server
    /// sends another type or none.
    ///
    /// # Examples
    ///
    /// Some servers respond with a page of theirs instead of an error:
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Job, download_many};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) =
    /// #     serve(&[("/br.gif", "200 OK\r\nContent-Type: text/html; charset=utf-8", "Please log in.")]);
    /// let job = Job::new("BR", format!("{server}/br.gif"), "BR.gif").content_type("image/gif");
    /// let error = download_many(&Inline, &folder, [job])?.ok().unwrap_err();
    /// assert_eq!(error.to_string(), "content type is text/html; charset=utf-8, not image/gif");
    /// assert!(!folder.join("BR.gif").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.required().content_type = Some(content_type.into());
        self
    }

    /// Returns the key.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Job;
    ///
    /// let job = Job::new(7, "https://example.org/br.gif", "BR.gif");
    /// assert_eq!(*job.key(), 7);
    /// ```
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Returns the URL.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Job;
    ///
    /// let job = Job::new("BR", "https://example.org/br.gif", "BR.gif");
    /// assert_eq!(job.url(), "https://example.org/br.gif");
    /// ```
    #[must_use]
    pub fn url(&self) -> &str {
        &self.wanted.url
    }

    /// Returns the name of the file within the downloader's folder.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Job;
    ///
    /// let job = Job::new("BR", "https://example.org/br.gif", "BR.gif");
    /// assert_eq!(job.file_name(), "BR.gif");
    /// ```
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.wanted.file_name
    }

    fn required(&mut self) -> &mut Required {
        self.wanted.required.get_or_insert_default()
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }
}

impl Wanted {
    pub(super) fn required_length(&self) -> Option<u64> {
        self.required.as_ref()?.content_length
    }

    pub(super) fn required_type(&self) -> Option<&str> {
        self.required.as_ref()?.content_type.as_deref()
    }

    /// Returns the name of the checksum that is required, and the checksum as it was
    /// given.
    pub(super) fn required_digest(&self) -> Option<(&'static str, &str)> {
        Some(match self.required.as_ref()?.sum.as_ref()? {
            RequiredSum::Sha256(text) => ("sha256", text),
            RequiredSum::Sha512(text) => ("sha512", text),
        })
    }

    pub(super) fn required_sum(&self) -> Result<Option<Sum>, DownloadErrorKind> {
        match self.required.as_ref().and_then(|all| all.sum.as_ref()) {
            None => Ok(None),
            Some(RequiredSum::Sha256(text)) => Sum::sha256(text)
                .map(Some)
                .ok_or(DownloadErrorKind::InvalidSha256),
            Some(RequiredSum::Sha512(text)) => Sum::sha512(text)
                .map(Some)
                .ok_or(DownloadErrorKind::InvalidSha512),
        }
    }
}

impl<K: Send + Sync + 'static> Subject for Job<K> {
    fn url(&self) -> &str {
        &self.wanted.url
    }

    fn file_name(&self) -> &str {
        &self.wanted.file_name
    }

    fn key(&self) -> &dyn Any {
        &self.key
    }
}
