//! The settings of a downloader and their types.

use super::report::Keep;
use super::retry::RetryPolicy;
use crate::task::CancelToken;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue};

/// What to do if the file of a job already exists; see
/// [`DownloaderBuilder::overwrite`](super::DownloaderBuilder::overwrite).
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{DownloadStatus, Downloader, Job, Overwrite};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[
/// #     ("/", "200 OK\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "a page"),
/// #     ("/", "304 Not Modified", ""),
/// # ]);
/// let downloader = Downloader::builder(&folder).overwrite(Overwrite::IfChanged).build()?;
/// let job = Job::new((), server, "page.html");
/// let first = downloader.download_many(&Inline, [job.clone()], ())?;
/// assert_eq!(first.count(DownloadStatus::Ok), 1);
///
/// // The page has not changed since.
/// let second = downloader.download_many(&Inline, [job], ())?;
/// assert_eq!(second.count(DownloadStatus::Skipped), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overwrite {
    /// Download the file, and replace the old one once the new one is complete. The
    /// new file gets the permissions of the old one; a read-only file is an error.
    /// An old file that has the checksum which the job requires is kept, and no request
    /// is made.
    #[default]
    Always,
    /// Replace the old file only if the server's file is newer, or if the old one is
    /// not what the job requires. The server compares the modification times
    /// (`If-Modified-Since`): each file that is downloaded, with any of these settings,
    /// gets the one that the server sends.
    IfChanged,
    /// Keep the old file, and make no request. It is an error if it is not what the
    /// job requires, or not a file.
    Never,
}

/// What is synced to disk before a file counts as downloaded; see
/// [`DownloaderBuilder::durability`](super::DownloaderBuilder::durability).
///
/// # Examples
///
/// ```
/// use as_completed::download::{Downloader, Durability};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let _ = serve(&[]);
/// let downloader = Downloader::builder("downloaded").durability(Durability::File).build()?;
/// # assert!(downloader.directory().ends_with("downloaded"));
/// assert_eq!(Durability::default(), Durability::None);
/// # Ok::<(), as_completed::download::DownloaderBuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing, which is the fastest: after a crash of the machine, a file may be empty
    /// or incomplete.
    #[default]
    None,
    /// The content of the file: after a crash of the machine, the file is complete
    /// if it exists.
    File,
    /// The content and the folder's entry: after a crash of the machine, the file
    /// exists and is complete. A job whose folder cannot be synced fails with "cannot
    /// sync the folder of", although its file is in place and complete.
    FileAndDirectory,
}

/// What to do with a body that the server has encoded, as with `gzip`, although it
/// was asked not to.
///
/// Nothing is decoded by default: that takes a decompressor, which the feature `gzip` adds
/// to the build with `Decode`, and the length and the ranges that a server states
/// are not those of a file that is decoded.
///
/// # Examples
///
/// ```
/// use as_completed::Inline;
/// use as_completed::download::{ContentEncoding, DownloadErrorKind, Downloader, Job};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let (server, folder) = serve(&[("/", "200 OK\r\nContent-Encoding: gzip", "(compressed)")]);
/// // The server encodes all responses.
/// let [page, archive] = ["page.html", "logs.tar.gz"].map(|name| Job::new((), &server, name));
///
/// let downloader = Downloader::builder(&folder).build()?;
/// assert!(downloader.download_many(&Inline, [archive], ())?.ok().is_ok());
/// let error = downloader.download_many(&Inline, [page.clone()], ())?.ok().unwrap_err();
/// assert!(matches!(error.kind(), DownloadErrorKind::ContentEncoding(name) if name == "gzip"));
///
/// let save = Downloader::builder(&folder).content_encoding(ContentEncoding::Save).build()?;
/// assert!(save.download_many(&Inline, [page], ())?.ok().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ContentEncoding {
    /// Save it as sent if the name of the file says that it is compressed, and refuse it
    /// otherwise. Some servers declare the compression of such a file as the encoding of
    /// the response.
    ///
    /// The extensions, in upper or lower case, are `7z`, `apk`, `br`, `bz2`, `deb`, `gz`,
    /// `jar`, `lz`, `lz4`, `lzma`, `rpm`, `svgz`, `tgz`, `whl`, `xz`, `z`, `zip` and `zst`.
    #[default]
    SaveArchives,
    /// Decode `gzip`, unless the name of the file says that it is compressed: then save it
    /// as sent, as [`SaveArchives`](Self::SaveArchives) does. Other encodings are refused.
    ///
    /// The length and the checksum that a job requires, the maximum size and the bytes of
    /// the report are those of the decoded file. It comes over one connection and leaves no
    /// part if it breaks off.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{ContentEncoding, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "a page")]);
    /// let downloader =
    ///     Downloader::builder(&folder).content_encoding(ContentEncoding::Decode).build()?;
    /// // What is not encoded is saved as ever.
    /// downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?.ok()?;
    /// assert_eq!(std::fs::read(folder.join("page.html"))?, b"a page");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "gzip")]
    Decode,
    /// Save it as sent, whatever the file is called.
    Save,
    /// Refuse it, whatever the file is called.
    Refuse,
}

impl ContentEncoding {
    /// Whether an encoded body is to be saved by that name as it is.
    pub(super) fn saves(self, file_name: &str) -> bool {
        match self {
            Self::Save => true,
            Self::Refuse => false,
            _ => is_compressed(file_name),
        }
    }

    /// Whether a body of that encoding is to be decoded and saved by that name.
    pub(super) fn decodes(self, file_name: &str, encoding: &str) -> bool {
        match self {
            #[cfg(feature = "gzip")]
            Self::Decode => {
                let is_gzip = ["gzip", "x-gzip"]
                    .iter()
                    .any(|gzip| encoding.eq_ignore_ascii_case(gzip));
                is_gzip && !is_compressed(file_name)
            }
            _ => {
                let _ = (file_name, encoding);
                false
            }
        }
    }
}

/// Whether the name of a file says that it is compressed.
fn is_compressed(file_name: &str) -> bool {
    const COMPRESSED: [&str; 18] = [
        "7z", "apk", "br", "bz2", "deb", "gz", "jar", "lz", "lz4", "lzma", "rpm", "svgz", "tgz",
        "whl", "xz", "z", "zip", "zst",
    ];
    file_name.rsplit_once('.').is_some_and(|(_, extension)| {
        COMPRESSED
            .iter()
            .any(|compressed| extension.eq_ignore_ascii_case(compressed))
    })
}

/// Which proxy to use; see [`DownloaderBuilder::proxy`](super::DownloaderBuilder::proxy).
///
/// # Examples
///
/// ```
/// use as_completed::download::{Downloader, DownloaderBuildError, Proxy};
///
/// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
/// # let _ = serve(&[]);
/// let proxy = Proxy::Url("http://user:secret@proxy.example:3128".to_owned());
/// assert_eq!(format!("{proxy:?}"), "Url(..)");
/// assert!(Downloader::builder("downloaded").proxy(proxy).build().is_ok());
///
/// let proxy = Proxy::Url("socks5://proxy.example".to_owned());
/// let error = Downloader::builder("downloaded").proxy(proxy).build().unwrap_err();
/// assert!(matches!(error, DownloaderBuildError::Proxy(_)));
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// The proxy that the first of the variables `ALL_PROXY`, `HTTPS_PROXY` and
    /// `HTTP_PROXY` names, in upper or lower case, for http and https alike, with the
    /// exceptions of `NO_PROXY`; none if there is no such variable. They are read when the
    /// downloader is built, by the rules of the crate `ureq`.
    #[default]
    Environment,
    /// No proxy, regardless of the environment.
    Direct,
    /// The proxy at this http or https URL, which may contain a user name and a
    /// password, both percent-encoded. `NO_PROXY` does not count. SOCKS is not supported.
    Url(String),
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::Url(_) => "Url(..)",
        })
    }
}

/// What a downloader goes by.
pub(super) struct Settings {
    pub(super) directory: Arc<Path>,
    pub(super) max_in_flight: usize,
    pub(super) max_in_flight_per_host: Option<usize>,
    pub(super) retry: RetryPolicy,
    pub(super) connect_timeout: Duration,
    pub(super) read_timeout: Duration,
    pub(super) total_timeout: Duration,
    pub(super) minimum_speed: Option<MinimumSpeed>,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) max_size: Option<u64>,
    pub(super) overwrite: Overwrite,
    pub(super) durability: Durability,
    pub(super) resume: bool,
    /// Connections per large file.
    pub(super) segments: usize,
    /// From how many bytes on a file is large.
    pub(super) segments_above: u64,
    pub(super) keep: Keep,
    pub(super) remember_names: bool,
    /// Whether names of files may have folders.
    pub(super) allow_subdirectories: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) user_agent: String,
    pub(super) redirects: Redirects,
    pub(super) content_encoding: ContentEncoding,
    pub(super) look_up_ttl: Duration,
    pub(super) proxy: Proxy,
    #[cfg(feature = "rustls")]
    pub(super) root_certificates: Option<Vec<u8>>,
    pub(super) token: CancelToken,
}

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Redirects {
    /// How many of one job.
    pub(super) max: u32,
    /// Also from https to http.
    pub(super) allow_downgrade: bool,
    /// Also from a public address to a private one.
    pub(super) allow_private: bool,
}

/// The speed below which a download is given up, and for how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MinimumSpeed {
    pub(super) bytes_per_second: u64,
    pub(super) over: Duration,
}

/// Turns what stands for no limit into none: a clock cannot be set to the end
/// of time.
pub(super) fn finite(duration: Duration) -> Option<Duration> {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    (duration < YEARS).then_some(duration)
}
