//! [`Location`]: a URL that can be requested, and where a redirect leads from
//! there.

use crate::download::error::{DownloadErrorKind, RedirectError};
use crate::download::text::{Plain, without_password};
use std::fmt::Write;
use ureq::http::Uri;
use ureq::http::uri::{Authority, Parts, PathAndQuery, Scheme};

/// An absolute URL of http or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    uri: Uri,
    /// The authority in its one spelling, where the URL has another.
    authority: Option<Box<str>>,
}

impl Location {
    /// Reads the URL of a job. What no URL may contain, such as a space or a
    /// letter outside of ASCII, is percent-encoded; a fragment is dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, DownloadErrorKind> {
        let refused = |why: &str| {
            let shown = Plain(without_password(text));
            Err(DownloadErrorKind::Url(format!("{why}: {shown}")))
        };
        let cleaned = clean(text.as_bytes());
        let Ok(uri) = cleaned.parse::<Uri>() else {
            return refused("not a url");
        };
        match uri.scheme_str() {
            Some("http" | "https") => {}
            Some(_) => return refused("scheme is neither http nor https"),
            None => return refused("no scheme such as https://"),
        }
        if uri.host().is_none_or(str::is_empty) {
            return refused("no host");
        }
        let authority = uri.authority().map_or("", Authority::as_str);
        if authority.contains('@') {
            // Not repeated in the message, since a password may follow it.
            let why = "user name in the url; use an authorization header";
            return Err(DownloadErrorKind::Url(why.to_owned()));
        }
        if Some(authority) != uri.host() && uri.port_u16().is_none() {
            return refused("port is not a number below 65536");
        }
        Ok(Self::new(uri))
    }

    fn new(uri: Uri) -> Self {
        let authority = one_spelling(&uri);
        Self { uri, authority }
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The whole URL, in an allocation that need not grow.
    pub(crate) fn to_text(&self) -> String {
        let authority = self.uri.authority().map_or("", Authority::as_str);
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let (mark, query) = self.uri.query().map_or(("", ""), |query| ("?", query));
        [scheme, "://", authority, self.uri.path(), mark, query].concat()
    }

    /// What limits and pauses are kept by: the host and its port, which are the
    /// same text for all ways to write them.
    pub(crate) fn authority(&self) -> &str {
        match &self.authority {
            Some(authority) => authority,
            None => self.uri.authority().map_or("", Authority::as_str),
        }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether both are of one server, so that what is secret to one is no
    /// secret to the other.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.uri.scheme() == other.uri.scheme() && self.authority() == other.authority()
    }

    /// Follows the `Location` header of an answer from here (RFC 3986, 5.2), which
    /// may contain bytes that are no text.
    pub(crate) fn follow(&self, reference: &[u8]) -> Result<Self, RedirectError> {
        let cleaned = clean(reference.trim_ascii());
        let refused = || RedirectError::Location(Plain(without_password(&cleaned)).to_string());
        if has_scheme(&cleaned) {
            return Self::parse(&cleaned).map_err(|_| refused());
        }
        let scheme = self.uri.scheme_str().unwrap_or("http");
        if cleaned.starts_with("//") {
            return Self::parse(&format!("{scheme}:{cleaned}")).map_err(|_| refused());
        }
        let path_and_query = self.resolve(&cleaned);
        let mut parts = Parts::default();
        parts.scheme = self.uri.scheme().cloned();
        parts.authority = self.uri.authority().cloned();
        parts.path_and_query = Some(
            path_and_query
                .parse::<PathAndQuery>()
                .map_err(|_| refused())?,
        );
        Uri::from_parts(parts).map(Self::new).map_err(|_| refused())
    }

    /// Merges a reference that has neither scheme nor host with the path here.
    fn resolve(&self, reference: &str) -> String {
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let (path, query) = if path.is_empty() {
            (self.uri.path().to_owned(), query.or(self.uri.query()))
        } else if path.starts_with('/') {
            (without_dots(path), query)
        } else {
            let folder = self
                .uri
                .path()
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            (without_dots(&format!("{folder}/{path}")), query)
        };
        match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        }
    }
}

/// Writes the authority of a URL in lower case, without the port of its scheme
/// and without the dot at the end of a host; `None` if it is so already.
fn one_spelling(uri: &Uri) -> Option<Box<str>> {
    let written = uri.authority()?.as_str();
    let host = uri.host()?;
    let default = if uri.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    // Nearly all are, and need no copy.
    let port = written.strip_prefix(host).map(str::as_bytes);
    let is_port_so = match port {
        Some([]) => true,
        Some([b':', b'1'..=b'9', ..]) => uri.port_u16() != Some(default),
        _ => false,
    };
    if is_port_so && !host.ends_with('.') && !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut spelled = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if let Some(port) = uri.port_u16().filter(|port| *port != default) {
        // Writing to a string never fails.
        let _ = write!(spelled, ":{port}");
    }
    (spelled != written).then(|| spelled.into_boxed_str())
}

/// Percent-encodes what no URL may contain, and drops the fragment, which is
/// the client's own business.
fn clean(text: &[u8]) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for byte in text.iter().copied().take_while(|byte| *byte != b'#') {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                push_encoded(&mut cleaned, byte);
            }
            b'!'..=b'~' => cleaned.push(char::from(byte)),
            _ => push_encoded(&mut cleaned, byte),
        }
    }
    cleaned
}

fn push_encoded(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each))
    })
}

/// Takes `.` and `..` out of an absolute path (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Location {
        Location::parse(url).unwrap()
    }

    #[test]
    fn urls_of_http_are_taken() {
        assert_eq!(at("http://a/b").uri().to_string(), "http://a/b");
        assert_eq!(at("HTTPS://A:8443").authority(), "a:8443");
        assert_eq!(at("http://a/x y#z").uri().to_string(), "http://a/x%20y");
        assert_eq!(at("http://a/é").uri().to_string(), "http://a/%C3%A9");
        assert_eq!(at("http://[::1]:81/").authority(), "[::1]:81");
    }

    #[test]
    fn host_has_one_spelling() {
        for url in [
            "http://a",
            "http://A/x",
            "http://a:80/",
            "http://a./",
            "https://A.:443/",
        ] {
            assert_eq!(at(url).authority(), "a", "{url}");
        }
        assert_eq!(at("http://a:443").authority(), "a:443");
        assert_eq!(at("https://a:80").authority(), "a:80");
        assert_eq!(at("http://[::1]:80").authority(), "[::1]");
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "a",
            "/a",
            "//a/b",
            "ftp://a/b",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://user:secret@a/",
            "http://a:99999/",
        ] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn references_are_followed_as_in_the_rfc() {
        let base = at("http://a/b/c/d;p?q");
        for (reference, target) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g/../h", "http://a/b/c/h"),
            ("https://h/x", "https://h/x"),
            ("caf\u{e9} x", "http://a/b/c/caf%C3%A9%20x"),
        ] {
            let followed = base.follow(reference.as_bytes()).unwrap();
            assert_eq!(followed.uri().to_string(), target, "{reference}");
        }
        let followed = base.follow(b"caf\xe9").unwrap();
        assert_eq!(followed.uri().to_string(), "http://a/b/c/caf%E9");
        assert!(base.follow(b"ftp://a/").is_err());
        assert!(base.follow(b"javascript:alert(1)").is_err());
    }

    #[test]
    fn origins_differ_by_scheme_host_and_port() {
        let here = at("http://a/x");
        assert!(here.same_origin(&at("http://A:80/y")));
        assert!(here.same_origin(&at("http://a./y")));
        assert!(!here.same_origin(&at("http://a:81/x")));
        assert!(!here.same_origin(&at("https://a/x")));
        assert!(!here.same_origin(&at("http://b/x")));
    }

    #[test]
    fn text_is_that_of_the_uri() {
        for url in [
            "http://a",
            "http://a?q=1",
            "HTTPS://A.b:443/x/y?z",
            "http://[::1]:8080/",
        ] {
            let location = Location::parse(url).unwrap();
            assert_eq!(location.to_text(), location.uri().to_string());
        }
    }
}
