//! Tasks of a scope borrow local variables.

use as_completed::{JoinError, ThreadPool, as_completed};

fn main() -> Result<(), JoinError> {
    let text = String::from("the quick brown fox\njumps over\nthe lazy dog");
    let mut lengths = vec![0; text.lines().count()];

    let words = ThreadPool::scope(4, |pool| {
        for (line, length) in text.lines().zip(&mut lengths) {
            // The scope waits for these, so no handle is needed.
            drop(pool.submit(|| *length = line.len()));
        }
        let mut words = 0;
        for count in as_completed(
            text.lines()
                .map(|line| pool.submit(|| line.split(' ').count())),
        ) {
            words += count.join()?;
        }
        Ok(words)
    })?;

    println!("{words} words in lines of {lengths:?} letters");
    assert_eq!((words, lengths), (9, vec![19, 10, 12]));
    Ok(())
}
