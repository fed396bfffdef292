//! Settings of the requests: what they say, where they lead, and what is accepted.

use super::DownloaderBuilder;
use crate::download::error::DownloaderBuildError;
use crate::download::settings::{ContentEncoding, Proxy};
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue};

/// # Requests
impl DownloaderBuilder {
    /// Adds a header to all requests, such as `Authorization`. A name that is added
    /// several times is sent with each of its values.
    ///
    /// It is sent to the server of the job's URL (the same scheme, host and port), and
    /// not to other servers that it redirects to. [`build`](Self::build) refuses a header
    /// that the downloader sets itself, such as `Host` or `Range`, and a name or value
    /// that no header may have.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "{request}")]);
    /// let downloader =
    ///     Downloader::builder(&folder).header("authorization", "Bearer secret").build()?;
    /// // This server sends the header of the request back.
    /// downloader.download_many(&Inline, [Job::new((), server, "echo.txt")], ())?.ok()?;
    /// let echo = std::fs::read_to_string(folder.join("echo.txt"))?;
    /// assert!(echo.contains("authorization: Bearer secret"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the `User-Agent`; the name and version of this crate by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "{request}")]);
    /// let agent = "flags/1.0 (+https://example.org/contact)";
    /// let downloader = Downloader::builder(&folder).user_agent(agent).build()?;
    /// // This server sends the header of the request back.
    /// downloader.download_many(&Inline, [Job::new((), server, "echo.txt")], ())?.ok()?;
    /// assert!(std::fs::read_to_string(folder.join("echo.txt"))?.contains(agent));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.settings.user_agent = user_agent.into();
        self
    }

    /// Sets how many redirects of one request are followed; 10 by default. With zero,
    /// any redirect fails the job.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadErrorKind, Downloader, Job, RedirectError};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "302 Found\r\nLocation: /login", "")]);
    /// let downloader = Downloader::builder(&folder).max_redirects(0).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// let error = report.ok().unwrap_err();
    /// assert!(matches!(error.kind(), DownloadErrorKind::Redirect(RedirectError::TooMany(0))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.settings.redirects.max = redirects;
        self
    }

    /// Sets whether redirects from https to http are followed; off by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// // For a mirror that redirects to http, with checksums that come from elsewhere.
    /// let downloader = Downloader::builder("downloaded").allow_downgrade(true).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.settings.redirects.allow_downgrade = allow;
        self
    }

    /// Sets whether redirects from a public address to a private one are followed, as
    /// to `127.0.0.1`, `192.168.1.1` or a host that has such an address; off by
    /// default.
    ///
    /// The addresses are those at the time of the redirect. If a proxy makes the request,
    /// the address is the proxy's to look up: only addresses in the URL itself and the
    /// name `localhost` count as private then.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// // For a public address that leads into one's own network.
    /// let downloader = Downloader::builder("downloaded").allow_private_redirects(true).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn allow_private_redirects(mut self, allow: bool) -> Self {
        self.settings.redirects.allow_private = allow;
        self
    }

    /// Sets what to do with a body that the server has encoded although it was asked
    /// not to; by default only archives are saved. [`ContentEncoding`] has an example.
    pub fn content_encoding(mut self, encoding: ContentEncoding) -> Self {
        self.settings.content_encoding = encoding;
        self
    }

    /// Sets how long the addresses of a host are cached; one minute by
    /// default. With zero, each new connection looks them up.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::download::Downloader;
    /// use std::time::Duration;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// // For a service whose addresses change all the time.
    /// let downloader = Downloader::builder("downloaded").look_up_ttl(Duration::ZERO).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn look_up_ttl(mut self, ttl: Duration) -> Self {
        self.settings.look_up_ttl = ttl;
        self
    }

    /// Sets the proxy; by default the one of the environment. [`Proxy`] has an example.
    ///
    /// [`build`](Self::build) refuses a proxy that cannot be used.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = proxy;
        self
    }

    /// Sets the trusted root certificates, in PEM, instead of the default ones: those
    /// that Mozilla trusts, as the crate `webpki-roots` has them.
    ///
    /// [`build`](Self::build) refuses a text without a certificate.
    ///
    /// # Examples
    ///
    /// For a server whose certificate an authority of one's own has signed:
    ///
    /// ```no_run
    /// use as_completed::download::Downloader;
    ///
    /// let authority = std::fs::read("authority.pem")?;
    /// let downloader = Downloader::builder("downloaded").root_certificates(authority).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A text without a certificate is refused:
    ///
    /// ```
    /// use as_completed::download::{Downloader, DownloaderBuildError};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let error = Downloader::builder("downloaded").root_certificates("no PEM").build().unwrap_err();
    /// assert!(matches!(error, DownloaderBuildError::RootCertificates(_)));
    /// ```
    #[cfg(feature = "rustls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.root_certificates = Some(pem.into());
        self
    }
}

/// Reads a header that the caller adds to requests.
pub(super) fn parse_header(
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), DownloaderBuildError> {
    const OWN: [&str; 9] = [
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "if-modified-since",
        "if-range",
        "range",
        "transfer-encoding",
        "user-agent",
    ];
    if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(DownloaderBuildError::ReservedHeader(name.to_owned()));
    }
    let refused = || DownloaderBuildError::Header(name.to_owned());
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
    value.set_sensitive(true);
    Ok((parsed, value))
}
