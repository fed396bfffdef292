//! Where jobs come from, and what is said of those that are wrong.

use super::support::Folder;
use super::{DOWNLOAD, start_server};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn url_in_the_place_of_a_list_is_a_job() {
    let (server, url) = start_server();
    let folder = Folder::new();
    let other = format!("{}/fr/fr.gif", server.url());
    let ended = folder.run(DOWNLOAD, [&url, &other]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(folder.names(), ["br.gif", "fr.gif"]);
}

#[test]
fn list_may_have_names_with_spaces() {
    let (_server, url) = start_server();
    let folder = Folder::new();
    folder.write(
        "list",
        &format!("# flags\n\n{url} \"of Brazil.gif\"\n{url}\tb.gif\n"),
    );
    let ended = folder.run(DOWNLOAD, ["-d", "flags", "list"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let names = Folder(folder.0.join("flags")).names();
    assert_eq!(names, ["b.gif", "of Brazil.gif"]);
}

#[test]
fn list_of_checksums_is_downloaded_and_what_is_there_is_skipped() {
    let (server, url) = start_server();
    let folder = Folder::new();
    assert_eq!(folder.run(DOWNLOAD, ["-d", "flags", &url]).code, Some(0));
    let sum = sha256(&folder.0.join("flags/br.gif"));
    let none = "0".repeat(64);
    folder.write("SHA256SUMS", &format!("{sum} *br.gif\n{none}  fr.gif\n"));
    let before = server.requests();
    let base = format!("{}/br/", server.url());
    let ended = folder.run(
        DOWNLOAD,
        ["-d", "flags", "--base-url", &base, "--json", "SHA256SUMS"],
    );
    assert_eq!(ended.code, Some(22), "{ended:?}");
    assert_eq!(server.requests(), before + 1);
    let json = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("it is JSON"));
    let json: Vec<serde_json::Value> = json.collect();
    let skipped = json.iter().find(|line| line["status"] == "skipped");
    let skipped = skipped.expect("the flag is there");
    assert_eq!(
        (&skipped["file"], &skipped["sha256"]),
        (&"br.gif".into(), &sum.into())
    );
    let summary = json.last().expect("there is a summary");
    assert_eq!(
        (&summary["skipped"], &summary["not_found"]),
        (&1.into(), &1.into())
    );

    folder.write("SHA256SUMS", &format!("# ok\n{none}\n"));
    let ended = folder.run(DOWNLOAD, ["--base-url", &base, "SHA256SUMS"]);
    let error = format!("error: SHA256SUMS, line 2: expected CHECKSUM  NAME: {none}\n");
    assert_eq!((ended.code, ended.err), (Some(2), error));
}

/// Returns the checksum of a file, as coreutils compute it.
fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output();
    let output = output.expect("there is a sha256sum command").stdout;
    let text = String::from_utf8(output).expect("it prints UTF-8");
    text.split(' ')
        .next()
        .expect("a sum comes first")
        .to_owned()
}

#[test]
fn names_may_have_folders_where_that_is_allowed() {
    let (_server, url) = start_server();
    let folder = Folder::new();
    folder.write("list", &format!("{url} a/b/br.gif\n{url} ../br.gif\n"));
    let ended = folder.run(DOWNLOAD, ["-d", "flags", "list"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(Folder(folder.0.join("flags")).names(), [""; 0]);
    let ended = folder.run(DOWNLOAD, ["-d", "flags", "--subdirectories", "list"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(folder.names(), ["flags", "list"]);
    assert!(folder.0.join("flags/a/b/br.gif").is_file());
}

#[test]
fn folder_as_a_list_is_an_error() {
    let folder = Folder::new();
    let ended = folder.run(DOWNLOAD, ["."]);
    assert_eq!(ended.code, Some(2));
    let errors: Vec<_> = ended.err.lines().collect();
    assert_eq!(errors.len(), 1, "{ended:?}");
    assert!(errors[0].starts_with("error: cannot read ., line 1: "));
}

#[test]
fn list_that_is_missing_is_named() {
    let ended = Folder::new().run(DOWNLOAD, ["no-such-list"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.starts_with("error: cannot read no-such-list: "));
}

#[test]
fn wrong_lines_are_named_by_their_number_and_the_others_downloaded() {
    let (_server, url) = start_server();
    let folder = Folder::new();
    folder.write(
        "list",
        &format!("# one\nnonsense\n{url}\n\n{url} a b c\n{url} \"open\n"),
    );
    let ended = folder.run(DOWNLOAD, ["-d", "flags", "list"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let wrong =
        |line, text| format!("error: list, line {line}: expected URL [NAME [SHA256]]: {text}\n");
    let (b, c) = (format!("{url} a b c"), format!("{url} \"open"));
    assert_eq!(
        ended.err,
        wrong(2, "nonsense") + &wrong(5, &b) + &wrong(6, &c)
    );
    assert!(ended.out.starts_with("     1 ok\n"), "{}", ended.out);
}

#[test]
fn file_is_told_of_before_the_list_ends() {
    use std::io::{BufRead, BufReader};

    let (_server, url) = start_server();
    let folder = Folder::new();
    let mut command = folder.command(DOWNLOAD, ["--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut list = child.stdin.take().expect("the input is piped");
    let mut out = BufReader::new(child.stdout.take().expect("the output is piped"));
    for name in ["a.gif", "b.gif"] {
        writeln!(list, "{url} {name}").expect("the program reads");
        let mut line = String::new();
        out.read_line(&mut line).expect("the program writes");
        let json: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        assert_eq!(json["type"], "file");
        assert_eq!(json["file"], name);
        assert_eq!(json["status"], "ok");
        assert_eq!(json["http_status"], 200);
    }
    drop(list);
    let mut line = String::new();
    out.read_line(&mut line).expect("the program writes");
    let json: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
    assert_eq!((&json["type"], &json["ok"]), (&"summary".into(), &2.into()));
    assert_eq!(child.wait().expect("the program ends").code(), Some(0));
}
