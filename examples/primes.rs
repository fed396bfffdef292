//! *Fluent Python*, chapter 19: which of these numbers are prime, in the order
//! in which it becomes known; one after the other, on threads or in processes.
//!
//! ```sh
//! cargo run --release --features process --example primes -- --on processes --workers 4
//! ```

use as_completed::function::{Function, FunctionExecutor, Functions};
use as_completed::process::ProcessPool;
use as_completed::{Inline, ThreadPool, as_completed};
use std::error::Error;
use std::time::Instant;

const NUMBERS: [u64; 20] = [
    2,
    142_702_110_479_723,
    299_593_572_317_531,
    3_333_333_333_333_301,
    3_333_333_333_333_333,
    3_333_335_652_092_209,
    4_444_444_444_444_423,
    4_444_444_444_444_444,
    4_444_444_488_888_889,
    5_555_553_133_149_889,
    5_555_555_555_555_503,
    5_555_555_555_555_555,
    6_666_666_666_666_666,
    6_666_666_666_666_719,
    6_666_667_141_414_921,
    7_777_777_536_340_681,
    7_777_777_777_777_753,
    7_777_777_777_777_777,
    9_999_999_999_999_917,
    9_999_999_999_999_999,
];

/// The least factor of a number, and the seconds that finding it took.
const LEAST_FACTOR: Function<u64, (u64, f64)> = Function::new("least_factor", |n| {
    let start = Instant::now();
    (least_factor(n), start.elapsed().as_secs_f64())
});

fn least_factor(n: u64) -> u64 {
    if n % 2 == 0 {
        return 2;
    }
    (3..=n.isqrt())
        .step_by(2)
        .find(|factor| n % factor == 0)
        .unwrap_or(n)
}

fn main() -> Result<(), Box<dyn Error>> {
    let functions = Functions::new().with(LEAST_FACTOR);
    functions.init(); // a child process serves here, and never returns
    let (mut on, mut workers) = ("processes".to_owned(), 2);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("an option has no value")?;
        match &*argument {
            "--on" => on = value,
            "--workers" => workers = value.parse()?,
            _ => return Err(format!("unknown option {argument}").into()),
        }
    }
    let executor: Box<dyn FunctionExecutor> = match &*on {
        "inline" => Box::new(Inline),
        "threads" => Box::new(ThreadPool::builder().max_workers(workers).build()?),
        "processes" => Box::new(ProcessPool::new(workers, functions)?),
        _ => return Err("--on takes inline, threads or processes".into()),
    };
    let start = Instant::now();
    let calls = NUMBERS.map(|n| (n, executor.call(LEAST_FACTOR, n)));
    for (n, call) in as_completed(calls) {
        let (factor, seconds) = call.join()?;
        let mark = if factor == n { 'P' } else { ' ' };
        println!("{n:16}  {mark}  {factor:16}  {seconds:9.6}s");
    }
    println!(
        "{} checks in {:.2}s",
        NUMBERS.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
