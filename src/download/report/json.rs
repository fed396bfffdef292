//! Reports as JSON, written by hand to avoid a dependency.

use super::entry::{DownloadStatus, Entry};
use super::report::Report;
use crate::download::text::without_password;
use std::fmt::{self, Display, Write};

impl<K: Display> Entry<K> {
    /// Returns the entry as a JSON object on one line.
    ///
    /// Its members are `type`, which is `"file"`, `key`, `url`, `file`, `status`
    /// (`ok`, `not_found`, `error`, `skipped` or `cancelled`), `bytes`, `retries`,
    /// `seconds`, and those of the following that exist: `final_url` and `http_status`
    /// of the last response; the `sha256` or `sha512` of the file, where the job requires
    /// one; `kind` of the error (see [`DownloadErrorKind::as_str`]), and `error`, its
    /// message. Passwords in URLs are replaced by asterisks.
    ///
    /// With the feature `serde`, entries and reports also implement `Serialize`, with the
    /// same members; there, a key need not be text.
    ///
    /// [`DownloadErrorKind::as_str`]: crate::download::DownloadErrorKind::as_str
    ///
    /// # Panics
    ///
    /// If the `Display` of the key returns an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new("BR", "http://br/", "..")], ())?;
    /// assert_eq!(
    ///     report.entries()[0].to_json(),
    ///     r#"{"type":"file","key":"BR","url":"http://br/","file":"..","status":"error","#.to_owned()
    ///         + r#""bytes":0,"retries":0,"seconds":0.000,"kind":"name","#
    ///         + r#""error":"invalid file name: a relative folder"}"#
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        written(|out| self.write_json(out))
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        write!(
            out,
            "{{\"type\":\"file\",\"key\":{},\"url\":{},\"file\":{},\"status\":{},\"bytes\":{},\"retries\":{},\"seconds\":{:.3}",
            Quoted(self.key()),
            Quoted(without_password(self.url())),
            Quoted(self.file_name()),
            Quoted(self.status().in_json()),
            self.bytes(),
            self.retries(),
            self.elapsed().as_secs_f64()
        )?;
        if let Some(url) = self.final_url() {
            write!(out, ",\"final_url\":{}", Quoted(url))?;
        }
        if let Some(code) = self.http_status() {
            write!(out, ",\"http_status\":{code}")?;
        }
        if let Some((name, digest)) = self.digest() {
            write!(out, ",\"{name}\":\"{digest}\"")?;
        }
        if let Some(error) = self.error() {
            let kind = error.kind().as_str();
            write!(
                out,
                ",\"kind\":{},\"error\":{}",
                Quoted(kind),
                Quoted(error)
            )?;
        }
        out.write_char('}')
    }
}

impl<K: Display> Report<K> {
    /// Returns the report as a JSON object on one line.
    ///
    /// Its members are `type`, which is `"summary"`, a count for each status (`ok`,
    /// `not_found`, `error`, `skipped`, `cancelled`), `bytes`, `retries`, `seconds`,
    /// whether the run `is_complete` and `is_cancelled`, and `entries`, the kept ones,
    /// as [`Entry::to_json`] writes them.
    ///
    /// # Panics
    ///
    /// If the `Display` of a key returns an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, Keep};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// let downloader = Downloader::builder(&folder).keep(Keep::Nothing).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new("BR", "no url", "BR.gif")], ())?;
    /// let json = report.to_json();
    /// assert!(json.starts_with(r#"{"type":"summary","ok":0,"not_found":0,"error":1,"#));
    /// assert!(json.ends_with(r#""is_complete":true,"is_cancelled":false,"entries":[]}"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        written(|out| {
            out.push_str("{\"type\":\"summary\",");
            for status in DownloadStatus::ALL {
                write!(out, "{}:{},", Quoted(status.in_json()), self.count(status))?;
            }
            write!(
                out,
                "\"bytes\":{},\"retries\":{},\"seconds\":{:.3},\"is_complete\":{},\"is_cancelled\":{},\"entries\":[",
                self.bytes(),
                self.retries(),
                self.elapsed().as_secs_f64(),
                self.is_complete(),
                self.is_cancelled()
            )?;
            for (index, entry) in self.entries().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                entry.write_json(out)?;
            }
            out.push_str("]}");
            Ok(())
        })
    }
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    write(&mut out).expect("a string takes everything, and a key can be displayed");
    out
}

/// A text between quotes, with what must be escaped.
struct Quoted<T>(T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaping(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for each in text.chars() {
            match each {
                '"' | '\\' => write!(self.0, "\\{each}")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                // The last one is printed raw by none, and is no text to a terminal.
                '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                    write!(self.0, "\\u{:04x}", u32::from(each))?;
                }
                _ => self.0.write_char(each)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_string_is_escaped() {
        let text = Quoted("a\"b\\c\nd\u{1}é 😀").to_string();
        assert_eq!(text, "\"a\\\"b\\\\c\\nd\\u0001é 😀\"");
    }
}
