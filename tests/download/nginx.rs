//! A server that others wrote: nginx, where it is installed.

use super::*;
use as_completed::CancelToken;
use as_completed::download::{Event, Overwrite};
use rustix::net::sockopt::set_socket_reuseport;
use socket2::{Domain, Socket, Type};
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

const SIZE: usize = 3_000_000;

struct Nginx {
    folder: Folder,
    port: u16,
    tls_port: u16,
    /// Keep others from the ports before nginx has them, and do not listen.
    _ports: [Socket; 2],
    process: Child,
}

impl Nginx {
    /// Starts one that serves a file under each of `/file`, `/slow` and
    /// `/seldom`, the last a few times per second only.
    fn start() -> Option<Self> {
        if Command::new("nginx").arg("-v").output().is_err() {
            eprintln!("nginx is not installed: nothing was tested");
            return None;
        }
        let deadline = Instant::now() + LONG;
        loop {
            let mut nginx = Self::spawn();
            // Written when the ports are its own.
            while !nginx.folder.file("nginx.pid").exists() {
                let log = fs::read_to_string(nginx.folder.file("error.log"));
                assert!(Instant::now() < deadline, "nginx does not start: {log:?}");
                if nginx.process.try_wait().unwrap().is_some() {
                    // A port that was free a moment ago has been used to connect.
                    break;
                }
                std::thread::yield_now();
            }
            if nginx.folder.file("nginx.pid").exists() {
                return Some(nginx);
            }
        }
    }

    fn spawn() -> Self {
        let folder = Folder::new();
        let ports = [(); 2].map(|()| shared_port());
        let [port, tls_port] = [&ports[0], &ports[1]].map(port_of);
        fs::create_dir(folder.file("root")).unwrap();
        let (certificate, key) = certificate();
        fs::write(folder.file("cert.pem"), certificate).unwrap();
        fs::write(folder.file("key.pem"), key).unwrap();
        let root = folder.file("root");
        let root = root.display();
        let locations = format!(
            r#"location / {{ root "{root}"; }}
             location = /slow {{ alias "{root}/file"; limit_rate 2m; }}
             location = /seldom {{ alias "{root}/file"; limit_req zone=seldom; limit_req_status 429; }}"#
        );
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid; error_log error.log;
             events {{ worker_connections 256; }}
             http {{
               access_log off; default_type image/gif;
               client_body_temp_path temporary; proxy_temp_path temporary;
               fastcgi_temp_path temporary; uwsgi_temp_path temporary; scgi_temp_path temporary;
               limit_req_zone $server_addr zone=seldom:1m rate=2r/s;
               server {{ listen 127.0.0.1:{port} reuseport; {locations} }}
               server {{ listen 127.0.0.1:{tls_port} ssl reuseport; ssl_certificate cert.pem;
                 ssl_certificate_key key.pem; {locations} }}
             }}"
        );
        fs::write(folder.file("nginx.conf"), configuration).unwrap();
        let process = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .args(["-e", "error.log", "-c", "nginx.conf"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self {
            folder,
            port,
            tls_port,
            _ports: ports,
            process,
        };
        nginx.write(b'a');
        nginx
    }

    /// Replaces the file by one that is all of that letter.
    fn write(&self, letter: u8) {
        let new = self.folder.file("root").join("new");
        fs::write(&new, vec![letter; SIZE]).unwrap();
        // The ETag is made of time and length; this time is no other version's.
        let age = Duration::from_secs(60 * u64::from(letter));
        let file = fs::File::options().write(true).open(&new).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000) + age;
        file.set_modified(time).unwrap();
        fs::rename(new, self.folder.file("root").join("file")).unwrap();
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port at which only those of the same user listen who say so, as nginx does here: no
/// other test gets it.
fn shared_port() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    set_socket_reuseport(&socket, true).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket
}

fn port_of(socket: &Socket) -> u16 {
    let address = socket.local_addr().unwrap();
    address.as_socket().unwrap().port()
}

fn certificate() -> (String, String) {
    let names = vec!["localhost".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    (certified.cert.pem(), certified.signing_key.serialize_pem())
}

/// Begins to download, and stops when the first bytes have come.
fn break_off(folder: &Folder, url: &str) {
    let token = CancelToken::new();
    let downloader = builder(folder)
        .resume(true)
        .cancel_token(token.clone())
        .build()
        .unwrap();
    let observer = move |event: &Event<'_, &str>| {
        if let Event::Bytes { .. } = event {
            token.cancel();
        }
    };
    let jobs = [Job::new("key", url, "file")];
    let report = downloader
        .download_many(&as_completed::Inline, jobs, observer)
        .unwrap();
    assert_eq!(report.count(DownloadStatus::Cancelled), 1);
    assert_eq!(folder.names(), ["file.part", "file.part.from"]);
}

#[test]
fn download_from_nginx_goes_on_where_it_broke_off() {
    let Some(nginx) = Nginx::start() else { return };
    let folder = Folder::new();
    break_off(&folder, &nginx.url("/slow"));
    let downloader = builder(&folder).resume(true).build().unwrap();
    let report = download_one(&downloader, nginx.url("/slow"));
    assert_ok(&report);
    assert!(report.bytes() < SIZE as u64, "not all came again");
    assert!(folder.read("file") == vec![b'a'; SIZE]);
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn file_that_changed_on_nginx_is_not_mixed_with_the_old_one() {
    let Some(nginx) = Nginx::start() else { return };
    let folder = Folder::new();
    break_off(&folder, &nginx.url("/slow"));
    nginx.write(b'b');
    let downloader = builder(&folder).resume(true).build().unwrap();
    assert_ok(&download_one(&downloader, nginx.url("/slow")));
    assert!(folder.read("file") == vec![b'b'; SIZE]);
}

#[test]
fn file_that_is_on_nginx_unchanged_is_not_downloaded_again() {
    let Some(nginx) = Nginx::start() else { return };
    let folder = Folder::new();
    let once = || {
        let if_changed = builder(&folder).overwrite(Overwrite::IfChanged);
        download_one(&if_changed.build().unwrap(), nginx.url("/file"))
    };
    assert_ok(&once());
    assert_eq!(once().count(DownloadStatus::Skipped), 1);
    nginx.write(b'b');
    assert_ok(&once());
    assert!(folder.read("file") == vec![b'b'; SIZE]);
}

#[test]
fn whole_part_of_a_file_on_nginx_becomes_the_file() {
    let Some(nginx) = Nginx::start() else { return };
    let folder = Folder::new();
    break_off(&folder, &nginx.url("/slow"));
    fs::write(folder.file("file.part"), vec![b'a'; SIZE]).unwrap();
    let downloader = builder(&folder).resume(true).build().unwrap();
    let report = download_one(&downloader, nginx.url("/slow"));
    assert_ok(&report);
    assert_eq!(report.bytes(), 0);
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn all_files_arrive_from_an_nginx_that_limits_requests() {
    let Some(nginx) = Nginx::start() else { return };
    let folder = Folder::new();
    let patience = Patience::new();
    // Neither number may be met: how many answers are refused depends on how fast
    // the jobs ask.
    let policy = RetryPolicy::default()
        .max_retries(10_000)
        .budget(10_000)
        .delay(Duration::from_millis(50), Duration::from_millis(200));
    let downloader = builder(&folder).retry(policy).build().unwrap();
    loop {
        let jobs = (0..6).map(|n| Job::new(n, nginx.url("/seldom"), n.to_string()));
        let report = download(&downloader, jobs);
        assert_ok(&report);
        if report.retries() > 0 {
            return;
        }
        // Requests so slow that none is refused: six take two seconds and a half.
        let is_slow = report.elapsed() > Duration::from_millis(2_400);
        assert!(is_slow, "no request is refused: {report:?}");
        assert!(!patience.is_over(LONG), "the jobs never ask fast enough");
    }
}

#[cfg(feature = "rustls")]
#[test]
fn files_arrive_from_nginx_over_tls() {
    let Some(nginx) = Nginx::start() else { return };
    let folder = Folder::new();
    let certificate = fs::read(nginx.folder.file("cert.pem")).unwrap();
    let downloader = builder(&folder)
        .root_certificates(certificate)
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/file", nginx.tls_port);
    let jobs = (0..8).map(|n| Job::new(n, url.clone(), n.to_string()));
    assert_ok(&download(&downloader, jobs));
    assert!(folder.read("7") == vec![b'a'; SIZE]);
    let distrustful = builder(&folder).build().unwrap();
    let report = download_one(&distrustful, url);
    assert!(matches!(failure(&report), DownloadErrorKind::Tls(_)));
}
