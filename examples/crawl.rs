//! Results bring new work: visits folders, and pushes what they contain.

use as_completed::{ThreadPool, as_completed};
use std::{error::Error, fs, io, path::PathBuf};

/// Returns the paths in a folder; none for a file.
fn visit(path: PathBuf) -> io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(Vec::new());
    }
    fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = ThreadPool::new(4);
    let start = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    let mut visits = as_completed([pool.submit(|| visit(start))]);
    let mut visited = 0;
    while let Some(visit_ended) = visits.next() {
        for path in visit_ended.join()?? {
            visits.push(pool.submit(|| visit(path)));
        }
        visited += 1;
    }
    println!("{visited} files and folders");
    assert!(visited > 10);
    Ok(())
}
