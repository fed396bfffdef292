//! Calls that abort, hang and eat memory fail alone; the others go on.
//!
//! ```sh
//! cargo run --features process --example isolate
//! ```

use as_completed::function::{Function, Functions};
use as_completed::{as_completed, process::ProcessPool};
use std::time::Duration;

const RENDER: Function<String, String> = Function::new("render", render);
fn render(mut page: String) -> String {
    match &*page {
        "abort" => std::process::abort(),
        "hang" => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        "eat" => std::hint::black_box(vec![1_u8; 1 << 40]).clear(),
        _ => page.make_ascii_uppercase(),
    }
    page
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let functions = Functions::new().with(RENDER);
    functions.init(); // a child process serves here, and never returns
    let pool = ProcessPool::builder(functions)
        .memory_limit(1 << 30)
        .call_timeout(Duration::from_secs(1))
        .build()?;
    let pages = ["one", "abort", "two", "hang", "three", "eat", "four"];
    let calls = pages.map(|page| (page, pool.call(RENDER, page.to_owned())));
    for (page, call) in as_completed(calls) {
        match call.join() {
            Ok(text) => println!("{page}: {text}"),
            Err(error) => println!("{page}: {error}"),
        }
    }
    Ok(())
}
