//! File names: which may be written, and which are the same to some system.

use crate::download::error::{DownloadErrorKind, NameError};
use crate::download::fetch::part::{NOTE_SUFFIX, PART_SUFFIX};
use crate::download::fetch::save::TEMPORARY_PREFIX;
use crate::download::settings::Settings;
use std::collections::HashSet;

const MAX_BYTES: usize = 255;

/// What names are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NameRules {
    /// Whether names stay taken when their job is over.
    for_good: bool,
    /// Whether parts of files are kept, under names of their own.
    resumes: bool,
    /// Whether a name may have folders.
    subdirectories: bool,
}

impl NameRules {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            for_good: settings.remember_names,
            resumes: settings.resume,
            subdirectories: settings.allow_subdirectories,
        }
    }

    /// Looks whether a file of that name can be written within a folder, here and on
    /// every other system.
    fn check(self, name: &str) -> Result<(), NameError> {
        if !self.subdirectories || !name.contains('/') {
            return check(name, self.resumes);
        }
        name.split('/').try_for_each(|part| match part {
            // As in an absolute name, or in one that ends as a folder's does.
            "" => Err(NameError::Separator),
            part => check(part, self.resumes),
        })
    }
}

/// Looks whether a file or a folder can have that name.
fn check(name: &str, resumes: bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameError::Relative);
    }
    // The colon separates drives and alternate streams on Windows.
    if name.contains(['/', '\\', ':']) {
        return Err(NameError::Separator);
    }
    if name.contains(['?', '*', '<', '>', '|', '"']) {
        return Err(NameError::Character);
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    if name.ends_with(['.', ' ']) {
        return Err(NameError::Trailing);
    }
    if is_device(name) {
        return Err(NameError::Device);
    }
    let folded = fold(name);
    if folded.starts_with(TEMPORARY_PREFIX)
        || resumes && (folded.ends_with(PART_SUFFIX) || folded.ends_with(NOTE_SUFFIX))
    {
        return Err(NameError::Temporary);
    }
    let longest = if resumes { NOTE_SUFFIX.len() } else { 0 };
    if name.len() + longest > MAX_BYTES {
        return Err(NameError::TooLong);
    }
    Ok(())
}

/// Windows takes these for devices in every folder, whatever extension follows.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let stem = stem.to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => ["COM", "LPT"].iter().any(|device| {
            stem.strip_prefix(device).is_some_and(|number| {
                matches!(
                    number,
                    "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
                )
            })
        }),
    }
}

/// What a file system that ignores case sees. Each letter by itself: the two small
/// sigmas, and the long s and the short one, are one letter in upper case.
///
/// Names that differ only in how accents are encoded (NFC and NFD) stay different,
/// though macOS takes them for one: telling them apart takes the tables of Unicode.
fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// The names that the jobs of a run have taken.
#[derive(Debug)]
pub(crate) struct Names {
    taken: HashSet<String>,
    rules: NameRules,
}

impl Names {
    pub(crate) fn new(rules: NameRules) -> Self {
        Self {
            taken: HashSet::new(),
            rules,
        }
    }

    /// Takes the name, if it may be written and nobody has it.
    pub(crate) fn take(&mut self, name: &str) -> Result<(), DownloadErrorKind> {
        self.rules.check(name).map_err(DownloadErrorKind::Name)?;
        if self.taken.insert(fold(name)) {
            Ok(())
        } else {
            Err(DownloadErrorKind::NameTaken)
        }
    }

    /// Notes that the job which took the name is over.
    pub(crate) fn release(&mut self, name: &str) {
        if !self.rules.for_good {
            self.taken.remove(&fold(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(for_good: bool) -> Names {
        Names::new(NameRules {
            for_good,
            ..NameRules::default()
        })
    }

    #[test]
    fn ordinary_names_are_taken() {
        for name in [
            "BR.gif",
            "a",
            ".hidden",
            "a..b",
            "..a",
            "with space",
            "国旗.gif",
            "console.log",
            "com10",
            "nul_",
            "x.part",
        ] {
            assert_eq!(check(name, false), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for (name, error) in [
            ("", NameError::Empty),
            (".", NameError::Relative),
            ("..", NameError::Relative),
            ("../x", NameError::Separator),
            ("/etc/passwd", NameError::Separator),
            ("a/b", NameError::Separator),
            ("a\\b", NameError::Separator),
            ("C:x", NameError::Separator),
            ("a?b", NameError::Character),
            ("*", NameError::Character),
            ("<a>", NameError::Character),
            ("a|b", NameError::Character),
            ("\"a\"", NameError::Character),
            ("a\0b", NameError::Control),
            ("a\nb", NameError::Control),
            ("a.", NameError::Trailing),
            ("a ", NameError::Trailing),
            ("...", NameError::Trailing),
            ("nul", NameError::Device),
            ("Com1.txt", NameError::Device),
            ("LPT9", NameError::Device),
            ("aux .h", NameError::Device),
            (".as-completed-1", NameError::Temporary),
        ] {
            assert_eq!(check(name, false), Err(error), "{name:?}");
        }
        assert_eq!(check(&"x".repeat(256), false), Err(NameError::TooLong));
        assert_eq!(check(&"x".repeat(255), false), Ok(()));
        assert_eq!(check(&"é".repeat(128), false), Err(NameError::TooLong));
    }

    #[test]
    fn names_may_have_folders_where_that_is_allowed() {
        let rules = NameRules {
            subdirectories: true,
            ..NameRules::default()
        };
        for name in ["a/b", "a/b/c.gif", "..a/.b", "a"] {
            assert_eq!(rules.check(name), Ok(()), "{name}");
        }
        for (name, error) in [
            ("", NameError::Empty),
            ("/", NameError::Separator),
            ("/a", NameError::Separator),
            ("a/", NameError::Separator),
            ("a//b", NameError::Separator),
            ("..", NameError::Relative),
            ("../a", NameError::Relative),
            ("a/../b", NameError::Relative),
            ("a/..", NameError::Relative),
            ("./a", NameError::Relative),
            ("a\\b", NameError::Separator),
            ("C:/a", NameError::Separator),
            ("a /b", NameError::Trailing),
            ("nul/b", NameError::Device),
            (".as-completed-1/b", NameError::Temporary),
        ] {
            assert_eq!(rules.check(name), Err(error), "{name}");
        }
        let long = format!("{}/{}", "x".repeat(255), "y".repeat(255));
        assert_eq!(rules.check(&long), Ok(()));
        assert_eq!(rules.check(&(long + "y")), Err(NameError::TooLong));
        let resuming = NameRules {
            resumes: true,
            ..rules
        };
        assert_eq!(resuming.check("a.part/b"), Err(NameError::Temporary));
        assert_eq!(NameRules::default().check("a/b"), Err(NameError::Separator));
    }

    #[test]
    fn names_of_parts_are_refused_where_there_are_parts() {
        assert_eq!(check("x.PART", true), Err(NameError::Temporary));
        assert_eq!(check("x.part.from", true), Err(NameError::Temporary));
        assert_eq!(check(&"x".repeat(250), true), Err(NameError::TooLong));
        let longest = (MAX_BYTES - NOTE_SUFFIX.len()).to_string();
        assert!(NameError::TooLong.to_string().contains(&longest));
    }

    #[test]
    fn names_that_differ_in_case_collide() {
        let mut names = empty(true);
        assert!(names.take("Straße.gif").is_ok());
        assert!(matches!(
            names.take("STRAßE.GIF"),
            Err(DownloadErrorKind::NameTaken)
        ));
        for (first, second) in [
            ("ΟΔΟΣ", "οδοσ"),
            ("οδος", "οδοΣ"),
            ("ſet", "SET"),
            ("straSSe", "straße"),
        ] {
            let mut names = empty(true);
            assert!(names.take(first).is_ok());
            assert!(names.take(second).is_err(), "{first} {second}");
        }
        names.release("Straße.gif");
        assert!(names.take("straße.gif").is_err());
    }

    #[test]
    fn names_in_flight_are_free_again_afterwards() {
        let mut names = empty(false);
        assert!(names.take("a").is_ok());
        assert!(names.take("A").is_err());
        names.release("a");
        assert!(names.take("A").is_ok());
    }
}
