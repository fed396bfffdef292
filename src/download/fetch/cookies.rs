//! [`Cookies`]: what servers want to be told again within one job.
//!
//! Some redirect to themselves until they see a cookie that they have set. So
//! cookies go back to the origin that set them, for as long as the redirects of
//! one attempt are followed, and nowhere else. That is less than a browser does:
//! `Domain` and `Path` are ignored, since an origin is told nothing that it has
//! not said itself.

use crate::download::net::head;
use crate::download::net::location::Location;
use ureq::http::HeaderMap;

/// More cookies, or longer ones, are not kept.
const MAX_COOKIES: usize = 50;
const MAX_LENGTH: usize = 4096;

/// The cookies of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Cookies(Vec<Cookie>);

#[derive(Debug)]
struct Cookie {
    origin: Location,
    name: String,
    value: String,
}

impl Cookies {
    /// Keeps what an answer sets.
    pub(crate) fn keep(&mut self, origin: &Location, headers: &HeaderMap) {
        for line in headers.get_all(&head::SET_COOKIE) {
            if let Some(line) = line.to_str().ok().filter(|line| line.len() <= MAX_LENGTH) {
                self.keep_line(origin, line);
            }
        }
    }

    fn keep_line(&mut self, origin: &Location, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let (name, value) = (name.trim(), value.trim());
        let is_taken_back =
            parts
                .filter_map(|attribute| attribute.split_once('='))
                .any(|(attribute, value)| {
                    attribute.trim().eq_ignore_ascii_case("max-age")
                        && value.trim().parse().is_ok_and(|age: i64| age <= 0)
                });
        self.0
            .retain(|cookie| cookie.name != name || !cookie.origin.same_origin(origin));
        if !name.is_empty() && !is_taken_back && self.0.len() < MAX_COOKIES {
            self.0.push(Cookie {
                origin: origin.clone(),
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }

    /// Returns the value of `Cookie` for a request there; `None` if there is
    /// nothing to say.
    pub(crate) fn for_request(&self, to: &Location) -> Option<String> {
        let all: Vec<String> = self
            .0
            .iter()
            .filter(|cookie| cookie.origin.same_origin(to))
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_back_to_their_origin_only() {
        let at = |url| Location::parse(url).unwrap();
        let here = at("https://a/x");
        let mut cookies = Cookies::default();
        cookies.keep_line(&here, "id=1; Path=/x; HttpOnly");
        cookies.keep_line(&here, "lang = pt");
        cookies.keep_line(&here, "nonsense");
        let sent = |cookies: &Cookies, url| cookies.for_request(&at(url));
        assert_eq!(
            sent(&cookies, "https://A:443/y").as_deref(),
            Some("id=1; lang=pt")
        );
        for url in ["http://a/", "https://a:444/", "https://b.a/"] {
            assert_eq!(sent(&cookies, url), None, "{url}");
        }
        cookies.keep_line(&here, "id=2");
        cookies.keep_line(&here, "lang=; Max-Age=0");
        assert_eq!(sent(&cookies, "https://a/").as_deref(), Some("id=2"));
    }
}
