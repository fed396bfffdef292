//! Lists of checksums, as `sha256sum` and `sha512sum` write them.

use super::job::Job;
use std::fmt::Write;

/// Why [`jobs_of_sums`] cannot read a list of checksums.
///
/// # Examples
///
/// ```
/// use as_completed::download::jobs_of_sums;
///
/// let list = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.iso\n\
///             d41d8cd98f00b204e9800998ecf8427e  md5.iso\n";
/// let error = jobs_of_sums("https://example.org", list).unwrap_err();
/// assert_eq!(error.line(), 2);
/// assert!(error.to_string().starts_with("line 2 is not a checksum and a file name"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a checksum and a file name: {text:?}")]
pub struct SumsError {
    line: usize,
    text: String,
}

impl SumsError {
    /// Returns the number of the line that cannot be read, from 1.
    ///
    /// The example of [`SumsError`] uses it.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
}

/// Reads a `SHA256SUMS` or `SHA512SUMS` file, and returns a job for each line: the
/// file of that name below `base_url`, with that checksum, and its name as the key.
///
/// A line is a checksum and a name, as `sha256sum` and `sha512sum` of the GNU coreutils
/// write them, or `SHA256 (NAME) = CHECKSUM`, as they write with `--tag`. Empty lines and
/// lines that begin with `#` are skipped. A file that exists and has its checksum is not
/// downloaded. Names in subdirectories require
/// [`allow_subdirectories`](super::DownloaderBuilder::allow_subdirectories).
///
/// # Errors
///
/// [`SumsError`] with the number of the first line that is something else.
///
/// # Examples
///
/// ```
/// use as_completed::download::jobs_of_sums;
///
/// let list = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a file.iso\n";
/// let jobs = jobs_of_sums("https://example.org/images", list)?;
/// assert_eq!(jobs[0].url(), "https://example.org/images/a%20file.iso");
/// assert_eq!(jobs[0].file_name(), "a file.iso");
/// # Ok::<(), as_completed::download::SumsError>(())
/// ```
pub fn jobs_of_sums(base_url: &str, list: &str) -> Result<Vec<Job<String>>, SumsError> {
    let mut jobs = Vec::new();
    for (index, line) in list.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let job = parse(line).and_then(|(sum, name)| job(base_url, sum, name));
        jobs.push(job.ok_or_else(|| SumsError {
            line: index + 1,
            text: line.to_owned(),
        })?);
    }
    Ok(jobs)
}

fn job(base_url: &str, sum: &str, name: String) -> Option<Job<String>> {
    if !sum.bytes().all(|digit| digit.is_ascii_hexdigit()) || name.is_empty() {
        return None;
    }
    let url = format!("{}/{}", base_url.trim_end_matches('/'), encode(&name));
    let job = Job::new(name.clone(), url, name);
    match sum.len() {
        64 => Some(job.sha256(sum)),
        128 => Some(job.sha512(sum)),
        _ => None,
    }
}

/// Returns the checksum and the name of a line.
fn parse(line: &str) -> Option<(&str, String)> {
    // A backslash says that the name has some, and line breaks, escaped.
    let (is_escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let tagged = ["SHA256 (", "SHA512 ("]
        .iter()
        .find_map(|tag| line.strip_prefix(tag));
    let (sum, name) = if let Some(rest) = tagged {
        let (name, sum) = rest.rsplit_once(") = ")?;
        (sum, name)
    } else {
        let (sum, rest) = line.split_once(' ')?;
        // The second blank is a star for files that were read as binary.
        (sum, rest.strip_prefix([' ', '*'])?)
    };
    let name = name.strip_prefix("./").unwrap_or(name);
    Some((
        sum,
        if is_escaped {
            unescape(name)?
        } else {
            name.to_owned()
        },
    ))
}

fn unescape(name: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

/// Writes a name as the path of a URL.
fn encode(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_kinds_are_read() {
        let (short, long) = (
            "0123456789abcdefABCDEF0123456789".repeat(2),
            "0f".repeat(64),
        );
        let list = format!(
            "# images\n\n{short}  a.iso\n{short} *./b c.iso\nSHA512 (d (1).iso) = {long}\n\
             \\{short}  e\\\\f\\ng\n{long}  h%é.iso\r\n"
        );
        let jobs = jobs_of_sums("http://x/y/", &list).unwrap();
        let names: Vec<_> = jobs.iter().map(Job::file_name).collect();
        assert_eq!(
            names,
            ["a.iso", "b c.iso", "d (1).iso", "e\\f\ng", "h%é.iso"]
        );
        let urls: Vec<_> = jobs.iter().map(Job::url).collect();
        assert_eq!(
            urls,
            [
                "http://x/y/a.iso",
                "http://x/y/b%20c.iso",
                "http://x/y/d%20(1).iso",
                "http://x/y/e%5Cf%0Ag",
                "http://x/y/h%25%C3%A9.iso"
            ]
        );
    }

    #[test]
    fn other_lines_are_refused_by_number() {
        let short = "0".repeat(64);
        for line in [
            "a.iso",
            &short,
            &format!("{short}  "),
            &format!("{short} a.iso"),
            &format!("{}  a.iso", "0".repeat(40)),
            &format!("{}  a.iso", "g".repeat(64)),
            &format!("MD5 (a.iso) = {short}"),
            &format!("\\{short}  a\\x"),
        ] {
            let list = format!("{short}  good\n{line}\n");
            let error = jobs_of_sums("http://x", &list).unwrap_err();
            assert_eq!(error.line(), 2, "{line}");
        }
    }
}
