//! The functions that the tests call.

use as_completed::function::{Function, Functions};
use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::Duration;

pub(crate) const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
pub(crate) const PANIC: Function<String, u64> =
    Function::new("panic", |message| panic!("{message}"));
pub(crate) const RECORD: Function<Record, Record> = Function::new("record", |record| record);
pub(crate) const ABORT: Function<(), u64> = Function::new("abort", |()| std::process::abort());
pub(crate) const EXIT: Function<i32, u64> = Function::new("exit", |code| std::process::exit(code));
pub(crate) const OVERFLOW: Function<u64, u64> = Function::new("overflow", overflow);
pub(crate) const EAT: Function<usize, usize> = Function::new("eat", eat);
pub(crate) const PID: Function<(), u32> = Function::new("pid", |()| std::process::id());
pub(crate) const HANG: Function<String, ()> = Function::new("hang", |path| {
    write(&path, &std::process::id().to_string());
    loop {
        thread::sleep(Duration::from_secs(60));
    }
});
pub(crate) const GRANDCHILD: Function<String, ()> = Function::new("grandchild", |path| {
    let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    write(&path, &format!("{} {}", std::process::id(), sleeper.id()));
    sleeper.wait().unwrap();
});
pub(crate) const LENGTH: Function<Vec<u64>, Vec<u64>> = Function::new("there_and_back", |all| all);
pub(crate) const STDIN: Function<(), usize> = Function::new("stdin", |()| {
    println!("this goes to the parent's standard output");
    std::io::read_to_string(std::io::stdin()).unwrap().len()
});
pub(crate) const UNREGISTERED: Function<(), ()> = Function::new("unregistered", |()| ());
pub(crate) const UNREADABLE: Function<u64, Unreadable> = Function::new("unreadable", Unreadable);

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, i64>,
    pub(crate) large: i128,
    pub(crate) maybe: Option<Result<u8, String>>,
}

/// Cannot be read back.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Unreadable(u64);

impl<'de> serde::Deserialize<'de> for Unreadable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it is unreadable"))
    }
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn overflow(n: u64) -> u64 {
    let wide = std::hint::black_box([n; 1000]);
    overflow(n + 1) + wide[0]
}

fn eat(bytes: usize) -> usize {
    std::hint::black_box(vec![1_u8; bytes]).len()
}

pub(crate) fn all() -> Functions {
    Functions::new()
        .with(SQUARE)
        .with(PANIC)
        .with(RECORD)
        .with(ABORT)
        .with(EXIT)
        .with(OVERFLOW)
        .with(EAT)
        .with(PID)
        .with(HANG)
        .with(GRANDCHILD)
        .with(LENGTH)
        .with(STDIN)
        .with(UNREADABLE)
}

/// Writes the whole text or nothing, for a test that waits for it.
fn write(path: &str, text: &str) {
    let part = format!("{path}.part");
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, path).unwrap();
}
