//! A callback may run long after the function that added it.

use as_completed::Inline;

fn main() {
    let local = String::from("too short");
    Inline.submit(|| 1).on_done(|_| assert!(!local.is_empty())); //~ E0373
}
