//! A result is taken once.

use as_completed::Inline;

fn main() {
    let handle = Inline.submit(|| String::new());
    drop(handle.join());
    drop(handle.join()); //~ E0382
}
