//! Settings of the files: what is there, what remains, and over how many connections
//! one comes.

use super::DownloaderBuilder;
use crate::download::settings::{Durability, Overwrite};

/// # Files
impl DownloaderBuilder {
    /// Sets what to do if the file already exists; [`Overwrite::Always`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job, Overwrite};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (_, folder) = serve(&[]);
    /// std::fs::write(folder.join("BR.gif"), "an earlier one")?;
    /// let downloader = Downloader::builder(&folder).overwrite(Overwrite::Never).build()?;
    /// let job = Job::new("BR", "https://example.org/br.gif", "BR.gif");
    /// let report = downloader.download_many(&Inline, [job], ())?;
    /// assert_eq!(report.count(DownloadStatus::Skipped), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn overwrite(mut self, overwrite: Overwrite) -> Self {
        self.settings.overwrite = overwrite;
        self
    }

    /// Sets what is synced to disk before a file counts as downloaded;
    /// [`Durability::None`] by default. Syncing blocks the worker.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Durability, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "a page")]);
    /// let downloader = Downloader::builder(&folder).durability(Durability::FileAndDirectory).build()?;
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// // From here on, no crash of the machine takes the file away.
    /// assert!(report.entries()[0].path().exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Sets whether to keep the received part of a file when a download breaks off,
    /// as `NAME.part` beside it, and to resume from it, in the same run or in a
    /// later one; off by default.
    ///
    /// This requires that the server identifies the version of the file (by a strong
    /// `ETag` or a date), which is stored in `NAME.part.from`. Otherwise the download
    /// starts over. The part is locked while it is written: a run that finds it
    /// locked by another run downloads the file without it. A file `NAME.part` that
    /// this crate did not write is left unchanged.
    ///
    /// A file that is complete is not downloaded again. It counts as complete if it has
    /// the checksum that its job requires; or, without one, if the server has a file of
    /// the same length and modification time.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job, RetryPolicy};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[
    /// #     ("/", "200 OK\r\nETag: \"1\"\r\nContent-Length: 6", "GIF"),
    /// #     ("/", "206 Partial Content\r\nETag: \"1\"\r\nContent-Range: bytes 3-5/6", "89a"),
    /// # ]);
    /// let downloader =
    ///     Downloader::builder(&folder).resume(true).retry(RetryPolicy::never()).build()?;
    /// let job = Job::new("BR", server, "BR.gif");
    ///
    /// // The connection breaks off after 3 of 6 bytes.
    /// let report = downloader.download_many(&Inline, [job.clone()], ())?;
    /// assert!(report.ok().is_err());
    /// assert!(folder.join("BR.gif.part").exists());
    ///
    /// // The next run, perhaps of another process, receives the other 3.
    /// let report = downloader.download_many(&Inline, [job], ())?;
    /// assert_eq!(report.bytes(), 3);
    /// assert_eq!(std::fs::read(folder.join("BR.gif"))?, b"GIF89a");
    /// assert!(!folder.join("BR.gif.part").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(mut self, resume: bool) -> Self {
        self.settings.resume = resume;
        self
    }

    /// Sets how many connections download one large file, each a segment of it; one
    /// by default, and at least one.
    ///
    /// Each connection has a thread of its own, beside the workers of the executor. There
    /// are at most as many as the file has pieces of 256 KiB, and one more to take over
    /// from one that stalls.
    ///
    /// Several are used for a file above [`segments_above`](Self::segments_above) if the
    /// server says that it honours ranges (`Accept-Ranges`) and identifies the version of
    /// the file (by a strong `ETag` or a date); otherwise one connection downloads the
    /// file. A connection that fails is retried alone, as the [retry policy](Self::retry)
    /// says, while others take over its segment; one that the server refuses is given up
    /// while there are others; one that is done takes a share of the slowest one's. If a
    /// segment is of another version of the file, the download starts over, and where that
    /// happens again, as where an address leads to different mirrors, its retries are made
    /// over one connection. All other settings hold for the job as a whole. While
    /// [`max_in_flight_per_host`](Self::max_in_flight_per_host) is reached, no connection is
    /// added to those of the jobs.
    ///
    /// With [`resume`](Self::resume), the part has its full length from the start, and
    /// `NAME.part.from` lists what has been received of it.
    ///
    /// # Examples
    ///
    /// Four connections for each file above 64 MiB, where a server limits the speed of each:
    ///
    /// ```
    /// use as_completed::download::Downloader;
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let _ = serve(&[]);
    /// let builder = Downloader::builder("downloaded");
    /// let downloader = builder.segments(4).segments_above(64 * 1024 * 1024).build()?;
    /// # assert!(downloader.directory().ends_with("downloaded"));
    /// # Ok::<(), as_completed::download::DownloaderBuildError>(())
    /// ```
    pub fn segments(mut self, connections: usize) -> Self {
        self.settings.segments = connections;
        self
    }

    /// Sets the size, in bytes, above which a file is downloaded in
    /// [`segments`](Self::segments); 16 MiB by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "a page")]);
    /// let downloader = Downloader::builder(&folder).segments(4).segments_above(0).build()?;
    /// // This server does not honour ranges, so one connection downloads the file.
    /// let report = downloader.download_many(&Inline, [Job::new((), server, "page.html")], ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn segments_above(mut self, bytes: u64) -> Self {
        self.settings.segments_above = bytes;
        self
    }

    /// Sets whether a file name is refused if any earlier job of the run has used it;
    /// on by default. This takes memory for all names.
    ///
    /// If off, a name is refused only while another job uses it, and a later job
    /// replaces the file of an earlier one. Names that differ only in case count as the
    /// same. Names that differ only in how accents are encoded (NFC, NFD) do not,
    /// although they are the same file on macOS.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{DownloadStatus, Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/1", "200 OK", "one"), ("/2", "200 OK", "two")]);
    /// let jobs = [1, 2].map(|n| Job::new(n, format!("{server}/{n}"), "same name"));
    ///
    /// let downloader = Downloader::builder(&folder).build()?;
    /// let report = downloader.download_many(&Inline, jobs.clone(), ())?;
    /// assert_eq!(report.count(DownloadStatus::Error), 1);
    ///
    /// let downloader = Downloader::builder(&folder).remember_names(false).build()?;
    /// let report = downloader.download_many(&Inline, jobs, ())?;
    /// assert_eq!(report.count(DownloadStatus::Ok), 2);
    /// assert_eq!(std::fs::read(folder.join("same name"))?, b"two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remember_names(mut self, remember: bool) -> Self {
        self.settings.remember_names = remember;
        self
    }

    /// Sets whether the name of a file may be in a subdirectory, as in `flags/br.gif`;
    /// off by default.
    ///
    /// Missing folders are created once their first file arrives. A name never
    /// leads out of the downloader's folder: `..` and absolute names are refused, and it
    /// is an error if one of the folders is a symbolic link. There is no protection
    /// against programs that replace a folder by a link during a run. The folders must be
    /// on the file system of the downloader's folder, where the temporary files are.
    ///
    /// # Examples
    ///
    /// ```
    /// use as_completed::Inline;
    /// use as_completed::download::{Downloader, Job};
    ///
    /// # let serve = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/download/example_server.in"));
    /// # let (server, folder) = serve(&[("/", "200 OK", "GIF89a")]);
    /// let downloader = Downloader::builder(&folder).allow_subdirectories(true).build()?;
    /// downloader.download_many(&Inline, [Job::new("BR", server, "flags/south/br.gif")], ())?.ok()?;
    /// assert!(folder.join("flags").join("south").join("br.gif").exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_subdirectories(mut self, allow: bool) -> Self {
        self.settings.allow_subdirectories = allow;
        self
    }
}
