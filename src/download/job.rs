//! [`Job`]: one file to download.

use super::error::{DownloadErrorKind, Subject};
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

/// Omits a password in the URL.
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

/// What a job requires of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Required {
    sha256: Option<String>,
    content_length: Option<u64>,
    content_type: Option<String>,
}

impl<K> Job<K> {
    /// Creates a job that downloads `url` into the file `file_name`.
    ///
    /// The name is relative to the downloader's folder. A name that leads out of
    /// it, or that some operating system does not allow, makes the job fail before
    /// any request is made.
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

    /// Requires the file to have this SHA-256, in 64 hexadecimal digits.
    pub fn sha256(mut self, sha256: impl Into<String>) -> Self {
        self.required().sha256 = Some(sha256.into());
        self
    }

    /// Requires the file to be of this length, in bytes.
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.required().content_length = Some(bytes);
        self
    }

    /// Requires the server to send this content type, as in `image/gif`; case and
    /// parameters such as `; charset=` are ignored.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.required().content_type = Some(content_type.into());
        self
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Returns the URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.wanted.url
    }

    /// Returns the name of the file within the downloader's folder.
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

    pub(super) fn required_sha256(&self) -> Result<Option<[u8; 32]>, DownloadErrorKind> {
        match self.required.as_ref().and_then(|all| all.sha256.as_ref()) {
            None => Ok(None),
            Some(text) => parse_sha256(text)
                .map(Some)
                .ok_or(DownloadErrorKind::InvalidSha256),
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

fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut sum = [0; 32];
    for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
    }
    Some(sum)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_in_either_case() {
        let lower = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let sum = parse_sha256(lower).unwrap();
        assert_eq!(sum[..2], [0xe3, 0xb0]);
        assert_eq!(parse_sha256(&lower.to_uppercase()), Some(sum));
    }

    #[test]
    fn sha256_of_another_length_or_alphabet_is_refused() {
        assert_eq!(parse_sha256(""), None);
        assert_eq!(parse_sha256(&"0".repeat(63)), None);
        assert_eq!(parse_sha256(&"g".repeat(64)), None);
        assert_eq!(parse_sha256(&"é".repeat(32)), None);
    }
}
