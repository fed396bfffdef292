//! Keeps a key with each handle, and takes both in completion order.

use as_completed::{JoinError, ThreadPool, as_completed};
use std::collections::BTreeMap;

const POEM: [(&str, &str); 3] = [
    ("first", "tiger tiger burning bright"),
    ("second", "in the forests of the night"),
    ("third", "what immortal hand or eye"),
];

fn main() -> Result<(), JoinError> {
    let pool = ThreadPool::new(3);
    let longest_word = |line: &'static str| line.split(' ').max_by_key(|word| word.len());
    let tasks = POEM.map(|(key, line)| (key, pool.submit(move || longest_word(line))));

    let mut longest = BTreeMap::new();
    for (key, handle) in as_completed(tasks) {
        longest.insert(key, handle.join()?); // does not block
    }
    println!("{longest:?}");
    assert_eq!(longest["third"], Some("immortal"));
    Ok(())
}
