//! What can be waited for is for this crate to say.

use as_completed::Awaited;

struct Mine;

impl Awaited for Mine {} //~ E0046

fn main() {}
