//! The server, in a separate process: nginx if it is installed and no delay is
//! requested, otherwise this crate's `flag_server`.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A folder beside the server's own files, for large ones.
pub const LARGE: &str = "large";
/// Where the same files come at 20 MiB/s over each connection.
pub const SLOW: &str = "slow";

pub struct Server {
    process: Child,
    url: String,
    is_nginx: bool,
}

impl Server {
    pub fn start(folder: &Path, scratch: &Path, delay: Option<Duration>) -> Result<Self> {
        match delay {
            None if is_there("nginx") => Self::nginx(folder, scratch),
            _ => Self::flag_server(folder, delay),
        }
    }

    pub fn name(&self) -> &'static str {
        if self.is_nginx {
            "nginx"
        } else {
            "flag_server"
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn nginx(folder: &Path, scratch: &Path) -> Result<Self> {
        let folder = fs::canonicalize(folder)?;
        // Only root may say whom the workers run as, and else they are nobody,
        // who cannot look into the folder.
        let user = if fs::metadata(scratch)?.uid() == 0 {
            "user root;"
        } else {
            ""
        };
        // Free now, and with luck still free in a moment.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let scratch = scratch.display();
        let configuration = format!(
            "daemon off; pid {scratch}/pid; error_log {scratch}/errors; {user}
             worker_processes 1; worker_rlimit_nofile 4096;
             events {{ worker_connections 2048; }}
             http {{
                 access_log off; sendfile on; tcp_nopush on;
                 keepalive_requests 100000;
                 client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
                 fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
                 scgi_temp_path {scratch}/scgi;
                 server {{
                     listen 127.0.0.1:{port} backlog=1024; root \"{}\";
                     location = /status {{ stub_status; }}
                     location /{LARGE}/ {{ alias {scratch}/{LARGE}/; }}
                     location /{SLOW}/ {{ alias {scratch}/{LARGE}/; limit_rate 20m; }}
                 }}
             }}",
            folder.display()
        );
        let path = format!("{scratch}/nginx.conf");
        fs::write(&path, configuration)?;
        let process = Command::new("nginx")
            .args(["-c", &path])
            .stderr(Stdio::null())
            .spawn()
            .context("nginx")?;
        let server = Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            is_nginx: true,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                let errors = fs::read_to_string(format!("{scratch}/errors")).unwrap_or_default();
                bail!("nginx does not listen: {errors}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    fn flag_server(folder: &Path, delay: Option<Duration>) -> Result<Self> {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let behaviour = delay.map_or_else(
            || vec!["--server".to_owned(), "local".to_owned()],
            |delay| {
                let seconds = delay.as_secs_f64();
                let delay = format!("{seconds}..{seconds}");
                ["--server", "delay", "--delay", &delay]
                    .map(str::to_owned)
                    .to_vec()
            },
        );
        // On Unix cargo becomes the program that it runs, so to kill the one
        // is to kill the other.
        let mut process = Command::new(cargo)
            .args(["run", "--quiet", "--release", "--manifest-path", manifest])
            .args(["--example", "flag_server", "--", "--port", "0", "--root"])
            .arg(fs::canonicalize(folder)?)
            .args(behaviour)
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo run --example flag_server")?;
        let output = process.stdout.take().context("it is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let url = line
            .split_whitespace()
            .last()
            .context("flag_server prints its URL")?
            .to_owned();
        Ok(Self {
            process,
            url,
            is_nginx: false,
        })
    }

    /// The number of connections so far, including the one that asks; `None` if the
    /// server does not report it.
    pub fn connections(&self) -> Result<Option<u64>> {
        if !self.is_nginx {
            return Ok(None);
        }
        let address: SocketAddr = self.url.trim_start_matches("http://").parse()?;
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /status HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        // "server accepts handled requests", and below it the numbers.
        let numbers = answer
            .lines()
            .skip_while(|line| !line.starts_with("server accepts"))
            .nth(1);
        let accepted = numbers.and_then(|line| line.split_whitespace().next());
        Ok(Some(accepted.context("nginx's status")?.parse()?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_nginx {
            // Killed, its master would leave the worker behind.
            let _ = Command::new("kill")
                .args(["-TERM", &self.process.id().to_string()])
                .status();
        } else {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

pub fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}
