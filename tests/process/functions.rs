//! The functions that the tests call.

use as_completed::function::{Function, Functions};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

pub(crate) const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
pub(crate) const PANIC: Function<String, u64> =
    Function::new("panic", |message| panic!("{message}"));
pub(crate) const RECORD: Function<Record, Record> = Function::new("record", |record| record);
pub(crate) const ABORT: Function<(), u64> = Function::new("abort", |()| std::process::abort());
/// Takes so many microseconds, and then ends its process if it is to.
pub(crate) const LAST: Function<(u64, bool), u64> = Function::new("last", |(micros, is_fatal)| {
    if micros > 0 {
        std::thread::sleep(std::time::Duration::from_micros(micros));
    }
    if is_fatal {
        std::process::abort();
    }
    micros
});
pub(crate) const EXIT: Function<i32, u64> = Function::new("exit", |code| std::process::exit(code));
pub(crate) const OVERFLOW: Function<u64, u64> = Function::new("overflow", overflow);
pub(crate) const EAT: Function<usize, usize> = Function::new("eat", eat);
pub(crate) const GORGE: Function<usize, u64> = Function::new("gorge", |bytes| eat(bytes) as u64);
pub(crate) const PID: Function<(), u32> = Function::new("pid", |()| std::process::id());
pub(crate) const HANG: Function<String, ()> = Function::new("hang", |path| {
    write(&path, &std::process::id().to_string());
    loop {
        thread::sleep(Duration::from_secs(60));
    }
});
/// Becomes another program, which serves no calls.
pub(crate) const BECOME: Function<String, ()> = Function::new("become", |program| {
    let error = Command::new(program).arg("1000").exec();
    unreachable!("this process is still itself: {error}");
});
/// Starts a shell that starts a program, and writes the ids of all three to the
/// path.
pub(crate) const GRANDCHILD: Function<String, ()> = Function::new("grandchild", |path| {
    let script = r#"sleep 1000 & echo $PPID $$ $! > "$0.part"; mv "$0.part" "$0"; wait"#;
    let status = Command::new("sh").args(["-c", script, &path]).status();
    unreachable!("it was not killed: {status:?}");
});
pub(crate) const LENGTH: Function<Vec<u64>, Vec<u64>> = Function::new("there_and_back", |all| all);
pub(crate) const STDIN: Function<(), usize> = Function::new("stdin", |()| {
    println!("this goes to the parent's standard output");
    // Past what std does about it.
    let script = "echo and this; ! grep .";
    let status = Command::new("sh").args(["-c", script]).status();
    assert!(status.unwrap().success());
    std::io::read_to_string(std::io::stdin()).unwrap().len()
});
pub(crate) const UNREGISTERED: Function<(), ()> = Function::new("unregistered", |()| ());
pub(crate) const UNREADABLE: Function<u64, Unreadable> = Function::new("unreadable", Unreadable);

pub(crate) const PARSE: Function<String, Result<u32, String>> = Function::new("parse", |text| {
    text.parse()
        .map_err(|error: std::num::ParseIntError| error.to_string())
});
/// Writes its process id to the first path, and returns once there is a file at
/// the second.
pub(crate) const HOLD: Function<(String, String), u32> = Function::new("hold", |(path, gate)| {
    write(&path, &std::process::id().to_string());
    while !Path::new(&gate).exists() {
        thread::sleep(Duration::from_millis(1));
    }
    std::process::id()
});
/// Ends its own process by that signal.
pub(crate) const SIGNAL: Function<String, u64> = Function::new("signal", |signal| {
    loop {
        // std takes the first SIGSEGV for a stack overflow, and looks into it.
        signal_self(&signal);
    }
});
pub(crate) const LAST_WORDS: Function<String, ()> = Function::new("last_words", |words| {
    eprintln!("{words}");
    std::process::abort();
});
pub(crate) const PLACE: Function<String, (Vec<String>, Option<String>, String)> =
    Function::new("place", |name| {
        (
            std::env::args().collect(),
            std::env::var(name).ok(),
            std::env::current_dir().unwrap().display().to_string(),
        )
    });

static INITIALIZED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes its argument; fails in as many ways as there are.
pub(crate) const INITIALIZE: Function<String, Result<(), String>> =
    Function::new("initialize", |text| {
        INITIALIZED.lock().unwrap().push(text.clone());
        match text.split_once(' ') {
            Some(("fail", text)) => Err(text.to_owned()),
            Some(("panic", text)) => panic!("{text}"),
            // At the first time only.
            Some(("die", path)) if Command::new("mkdir").arg(path).status().unwrap().success() => {
                std::process::abort()
            }
            _ => Ok(()),
        }
    });
pub(crate) const INITIALIZED_WITH: Function<(), Vec<String>> =
    Function::new("initialized_with", |()| INITIALIZED.lock().unwrap().clone());

/// Item, fatal item, log.
pub(crate) type Logged = (u64, u64, String);

/// Notes in the log that the item has been started, and aborts if it is fatal.
pub(crate) const LOG: Function<Logged, u64> = Function::new("log", |(item, fatal, log)| {
    append(&log, item);
    if item == fatal {
        std::process::abort();
    }
    item
});
/// As [`LOG`], but hangs in the place of aborting.
pub(crate) const LOG_AND_HANG: Function<Logged, u64> =
    Function::new("log_and_hang", |(item, fatal, log)| {
        append(&log, item);
        if item == fatal {
            loop {
                thread::sleep(Duration::from_secs(60));
            }
        }
        item
    });
/// Prints a part of a line; runs for a while and aborts if the item is fatal.
pub(crate) const PRINT: Function<(u64, u64), u64> = Function::new("print", |(item, fatal)| {
    print!("<{item}>");
    if item == fatal {
        thread::sleep(Duration::from_millis(50));
        std::process::abort();
    }
    item
});
/// Hangs with the standard output locked if the item is fatal.
pub(crate) const LOCK_AND_HANG: Function<(u64, u64), u64> =
    Function::new("lock_and_hang", |(item, fatal)| {
        if item == fatal {
            let _locked = std::io::stdout().lock();
            loop {
                thread::sleep(Duration::from_secs(60));
            }
        }
        item
    });
pub(crate) const PICKY: Function<Picky, u64> = Function::new("picky", |picky| picky.0);

/// Cannot be encoded if it is 3, panics then if it is 4, and cannot be decoded if
/// it is 5.
#[derive(Debug)]
pub(crate) struct Picky(pub(crate) u64);

impl serde::Serialize for Picky {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            3 => Err(serde::ser::Error::custom("it is 3")),
            4 => panic!("it is 4 on purpose"),
            n => serializer.serialize_u64(n),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            5 => Err(serde::de::Error::custom("it is 5")),
            n => Ok(Self(n)),
        }
    }
}

/// A number whose `Drop` panics.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Frail(pub(crate) u64);

impl Drop for Frail {
    fn drop(&mut self) {
        assert!(thread::panicking(), "the drop of {} on purpose", self.0);
    }
}

/// Only the caller's value is frail.
pub(crate) const SQUARE_OF_FRAIL: Function<Frail, u64> =
    Function::new("square", |_| unreachable!());
pub(crate) const FRAIL: Function<u64, Frail> = Function::new("frail", Frail);
/// Only the value that was encoded is frail.
pub(crate) const FROM_FRAIL: Function<u64, u64> = Function::new("frail", |_| unreachable!());
/// Panics as it is encoded, and as it is dropped.
pub(crate) struct Doomed(u64);

impl serde::Serialize for Doomed {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("the encoding of {} on purpose", self.0)
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        panic!("the drop of {} on purpose", self.0)
    }
}

pub(crate) const DOOMED: Function<u64, Doomed> = Function::new("doomed", Doomed);
/// Only the value that is encoded is doomed.
pub(crate) const FROM_DOOMED: Function<u64, u64> = Function::new("doomed", |_| unreachable!());
pub(crate) const FRAIL_PANIC: Function<u64, u64> =
    Function::new("frail_panic", |n| std::panic::panic_any(Frail(n)));

fn signal_self(signal: &str) {
    let pid = std::process::id().to_string();
    let status = Command::new("kill")
        .args([&format!("-{signal}"), &pid])
        .status();
    assert!(status.unwrap().success());
}

fn append(log: &str, item: u64) {
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(log)
        .unwrap();
    // One write, so that the lines of several processes do not mix.
    file.write_all(format!("{item}\n").as_bytes()).unwrap();
}

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
        .with(LAST)
        .with(EXIT)
        .with(OVERFLOW)
        .with(EAT)
        .with(GORGE)
        .with(PID)
        .with(HANG)
        .with(BECOME)
        .with(GRANDCHILD)
        .with(LENGTH)
        .with(STDIN)
        .with(UNREADABLE)
        .with(PARSE)
        .with(HOLD)
        .with(SIGNAL)
        .with(LAST_WORDS)
        .with(PLACE)
        .with(INITIALIZE)
        .with(INITIALIZED_WITH)
        .with(LOG)
        .with(LOG_AND_HANG)
        .with(PRINT)
        .with(LOCK_AND_HANG)
        .with(PICKY)
        .with(FRAIL)
        .with(DOOMED)
        .with(FRAIL_PANIC)
}

/// Writes the whole text or nothing, for a test that waits for it.
pub(crate) fn write(path: &str, text: &str) {
    let part = format!("{path}.part");
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, path).unwrap();
}
