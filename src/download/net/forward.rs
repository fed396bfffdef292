//! [`Forward`]: requests for http URLs, as a proxy is asked.

/// How a proxy is asked for the URLs of an origin.
pub(crate) struct Forward {
    /// As in `http://example.org:8080`.
    pub(crate) origin: String,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<String>,
}

impl Forward {
    /// Rewrites a request, or its beginning, which has at least the first line.
    pub(crate) fn rewrite(&self, request: &[u8]) -> Vec<u8> {
        let Some((method, rest)) = split_once(request, b" ") else {
            return request.to_vec();
        };
        let (line, rest) = split_once(rest, b"\r\n").unwrap_or((rest, b""));
        let mut all = [method, b" ", self.origin.as_bytes(), line, b"\r\n"].concat();
        if let Some(authorization) = &self.authorization {
            all.extend_from_slice(b"proxy-authorization: ");
            all.extend_from_slice(authorization.as_bytes());
            all.extend_from_slice(b"\r\n");
        }
        all.extend_from_slice(rest);
        all
    }
}

fn split_once<'a>(bytes: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(by.len()).position(|part| part == by)?;
    Some((&bytes[..at], &bytes[at + by.len()..]))
}
