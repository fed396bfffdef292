//! Checks links side by side, at most two at a time for each host.

use as_completed::{Limit, ThreadPool, as_completed};
use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::{error::Error, sync::Arc, thread};

/// Returns the status line of a page.
fn check(host: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(host)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response.lines().next().unwrap_or_default().to_owned())
}

/// Starts a host that has every page but `/missing`, one request after the other.
fn host() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap_or(0);
            let found = !request[..length].starts_with(b"GET /missing");
            let status = if found { "200 OK" } else { "404 Not Found" };
            let response = format!("HTTP/1.0 {status}\r\n\r\n");
            stream.write_all(response.as_bytes()).unwrap_or_default();
        }
    });
    Ok(address)
}

fn main() -> Result<(), Box<dyn Error>> {
    let links = [host()?, host()?]
        .into_iter()
        .flat_map(|host| ["/", "/a", "/b", "/missing"].map(|path| (host.clone(), path)));

    let pool = Arc::new(ThreadPool::new(16));
    let mut hosts = HashMap::new();
    let checks = links.map(|(host, path)| {
        let two = || Limit::new(Arc::clone(&pool), 2);
        let limit: &Limit<_> = hosts.entry(host.clone()).or_insert_with(two);
        (path, limit.submit(move || check(&host, path)))
    });
    let mut broken = 0;
    for (path, status) in as_completed(checks) {
        let status = status.join()??;
        broken += usize::from(!status.ends_with("200 OK"));
        println!("{path}: {status}");
    }
    assert_eq!(broken, 2);
    Ok(())
}
