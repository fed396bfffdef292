//! Parses files side by side: all of them, or the first error at once.

use as_completed::{ThreadPool, try_join_all};
use std::{error::Error, fs, path::PathBuf};

/// Returns how many lines of a file are code.
fn count(path: PathBuf) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let text = fs::read_to_string(path)?;
    let is_code = |line: &&str| !line.is_empty() && !line.trim_start().starts_with("//");
    Ok(text.lines().filter(is_code).count())
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let pool = ThreadPool::default();
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    let submit = |name: &str| {
        let path = folder.join(name);
        pool.submit(move || count(path))
    };

    let counts = try_join_all(["hello.rs", "map.rs", "scope.rs"].map(submit))??;
    println!("lines of code: {counts:?}");
    assert!(counts.iter().all(|&count| count > 5));

    // What is pending is cancelled when the first fails.
    let failed = try_join_all(["hello.rs", "no such file", "map.rs"].map(submit))?;
    println!("as expected: {}", failed.expect_err("one file is missing"));
    Ok(())
}
