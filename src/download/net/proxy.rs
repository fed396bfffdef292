//! The way through a proxy: a tunnel for https, requests by URL for http.

use super::forward::Forward;
use super::transport::{Fault, deadline_of, left_until, transmit};
use std::io::ErrorKind;
use ureq::Proxy;
use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// Longer answers to `CONNECT` are refused.
const MAX_ANSWER: usize = 64 * 1024;

/// How the proxy is asked for URLs of that origin.
pub(crate) fn forward(proxy: &Proxy, target: &Uri) -> Forward {
    let authority = target
        .authority()
        .map_or("", |authority| authority.as_str());
    Forward {
        origin: format!("http://{authority}"),
        authorization: authorization(proxy),
    }
}

fn authorization(proxy: &Proxy) -> Option<String> {
    if proxy.username().is_none() && proxy.password().is_none() {
        return None;
    }
    let user = proxy.username().unwrap_or_default();
    let password = proxy.password().unwrap_or_default();
    Some(format!(
        "Basic {}",
        base64(format!("{user}:{password}").as_bytes())
    ))
}

/// Asks the proxy for a connection to the target; all of it within one timeout.
pub(crate) fn tunnel(
    mut transport: Box<dyn Transport>,
    proxy: &Proxy,
    target: &Uri,
    user_agent: &str,
    timeout: NextTimeout,
) -> Result<Tunnel, ureq::Error> {
    let host = target.host().unwrap_or_default();
    let port = target.port_u16().unwrap_or(443);
    let mut request = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {user_agent}\r\n"
    );
    if let Some(authorization) = authorization(proxy) {
        request.push_str("Proxy-Authorization: ");
        request.push_str(&authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let deadline = deadline_of(timeout);
    transmit(&mut *transport, request.as_bytes(), timeout)?;
    let mut answer = Vec::new();
    loop {
        if !transport.await_input(left_until(deadline, timeout)?)? {
            return Err(Fault::Reset(ErrorKind::UnexpectedEof.into()).into_error());
        }
        let buffers = transport.buffers();
        let received = buffers.input().len();
        answer.extend_from_slice(buffers.input());
        buffers.input_consume(received);
        match read_answer(&answer)? {
            Some(200..=299) => return Ok(Tunnel(transport)),
            Some(code) => {
                let proxy = format!("{}:{}", proxy.host(), proxy.port());
                return Err(Fault::Refused { proxy, code }.into_error());
            }
            None if answer.len() > MAX_ANSWER => {
                return Err(Fault::Malformed("answer of the proxy is too large").into_error());
            }
            None => {}
        }
    }
}

/// Reads the status of an answer that is there to the end of its header.
fn read_answer(answer: &[u8]) -> Result<Option<u16>, ureq::Error> {
    let mut rest = answer;
    loop {
        if rest.iter().zip(b"HTTP/1.").any(|(a, b)| a != b) {
            return Err(Fault::Malformed("proxy does not speak HTTP").into_error());
        }
        let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let digits = rest
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(code) = digits.and_then(|digits| digits.parse::<u16>().ok()) else {
            return Err(Fault::Malformed("status line of the proxy cannot be read").into_error());
        };
        rest = &rest[end + 4..];
        match code {
            100..=199 => {}
            // The target does not speak first, so this would be the proxy's.
            200..=299 if !rest.is_empty() => {
                return Err(Fault::Malformed("proxy sent more than its answer").into_error());
            }
            code => return Ok(Some(code)),
        }
    }
}

/// A connection through a proxy. It is not secure yet, even where the one to
/// the proxy is.
#[derive(Debug)]
pub(crate) struct Tunnel(Box<dyn Transport>);

impl Transport for Tunnel {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            if place > group.len() {
                text.push('=');
            } else {
                let letter = bits >> (18 - 6 * place) & 63;
                text.push(char::from(LETTERS[letter as usize]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded_as_in_the_rfc() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn answer_is_read_to_the_end_of_its_header() {
        let code = |answer: &str| read_answer(answer.as_bytes());
        assert_eq!(code("HTTP/1.1 200 OK\r\n").unwrap(), None);
        assert_eq!(code("HTTP/1.1 200 OK\r\n\r\n").unwrap(), Some(200));
        assert_eq!(code("HTTP/1.1 407 No\r\n\r\nbody").unwrap(), Some(407));
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 502 No\r\n\r\n";
        assert_eq!(code(interim).unwrap(), Some(502));
        for bad in [
            "SSH-2.0",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nmore",
        ] {
            assert!(code(bad).is_err(), "{bad}");
        }
    }
}
