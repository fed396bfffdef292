//! Text for people: without passwords, without control characters, and not without
//! end.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// How many characters of one text are shown.
const MOST: usize = 1000;

/// Writes a text on one line of a terminal: control characters, and those that
/// change the direction of the text, are escaped, and what is too long is cut.
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Display> Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaping = Escaping { f, left: MOST };
        let written = write!(escaping, "{}", self.0);
        // An error of ours means that there was more.
        match escaping.left {
            0 => f.write_char('…'),
            _ => written,
        }
    }
}

struct Escaping<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    left: usize,
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for each in text.chars() {
            // The last place says whether there is more.
            if self.left == 1 {
                self.left = 0;
                return Err(fmt::Error);
            }
            self.left -= 1;
            if is_harmful(each) {
                write!(self.f, "{}", each.escape_default())?;
            } else {
                self.f.write_char(each)?;
            }
        }
        Ok(())
    }
}

fn is_harmful(each: char) -> bool {
    each.is_control()
        || matches!(
            each,
            '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// Returns the URL with asterisks in the place of a password, or of a user name that
/// stands alone, which may be a token.
pub(crate) fn without_password(url: &str) -> Cow<'_, str> {
    let start = url.find("://").map_or(0, |colon| colon + "://".len());
    let rest = &url[start..];
    let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
    let Some(at) = authority.rfind('@') else {
        return Cow::Borrowed(url);
    };
    let (before, after) = (&url[..start], &rest[at..]);
    Cow::Owned(match authority[..at].split_once(':') {
        Some((user, _)) => format!("{before}{user}:***{after}"),
        None => format!("{before}***{after}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let text = "a\u{1b}[31mred\nline\u{7f}\u{202e}é 国";
        assert_eq!(
            Plain(text).to_string(),
            "a\\u{1b}[31mred\\nline\\u{7f}\\u{202e}é 国"
        );
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(Plain("x".repeat(999)).to_string(), "x".repeat(999));
        let cut = Plain("x".repeat(1_000_000)).to_string();
        assert_eq!(cut, "x".repeat(999) + "…");
    }

    #[test]
    fn passwords_are_hidden() {
        for (url, shown) in [
            ("http://a/b@c:d", "http://a/b@c:d"),
            ("http://user:secret@a/x", "http://user:***@a/x"),
            ("http://u:p@q:s@a:80/x?y@z", "http://u:***@a:80/x?y@z"),
            ("http://token@a", "http://***@a"),
            ("user:secret@proxy:3128", "user:***@proxy:3128"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
