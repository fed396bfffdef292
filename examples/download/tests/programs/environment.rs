//! What surrounds the program: the proxy of the environment, and a folder that cannot
//! be synced.

use super::support::{Ended, Folder};
use super::{DOWNLOAD, start_server};

#[test]
fn proxy_of_the_environment_that_cannot_be_used_is_an_error() {
    let (server, url) = start_server();
    for value in [
        "http://user:s3cret@host:port",
        "socks5://user:s3cret@host:1",
    ] {
        let folder = Folder::new();
        let mut command = folder.command(DOWNLOAD, [&url]);
        command.env("HTTP_PROXY", value);
        let ended = Ended::new(&command.output().expect("the program starts"));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let error = "error: proxy cannot be used: HTTP_PROXY: ";
        assert!(ended.err.starts_with(error), "{ended:?}");
        assert!(!ended.err.contains("s3cret"), "{ended:?}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn empty_proxy_of_the_environment_is_none() {
    let (_server, url) = start_server();
    let folder = Folder::new();
    let mut command = folder.command(DOWNLOAD, [&url]);
    command.env("HTTP_PROXY", "");
    let ended = Ended::new(&command.output().expect("the program starts"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn folder_that_cannot_be_synced_is_an_error_before_the_file_is_there() {
    use super::support::{example, without_proxy};
    use std::ffi::OsStr;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    const NOBODY: u32 = 65534;

    let (_server, url) = start_server();
    let folder = Folder::new();
    let flags = folder.0.join("flags");
    fs::create_dir(&flags).expect("the folder is writable");
    let mut command = folder.command(DOWNLOAD, ["--sync", "-d", "flags", &url]);
    // Others are let in, whatever the umask, and reach the program here.
    let open = || Permissions::from_mode(0o755);
    fs::set_permissions(&folder.0, open()).expect("it is ours");
    let is_root = fs::metadata(&flags).expect("it was just created").uid() == 0;
    if is_root {
        // Permissions do not hold for root.
        chown(&flags, Some(NOBODY), None).expect("root may");
        let copy = folder.0.join("copy");
        fs::copy(example(DOWNLOAD), &copy).expect("the folder is writable");
        fs::set_permissions(&copy, open()).expect("it is ours");
        let arguments: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
        command = Command::new(copy);
        without_proxy(&mut command);
        command.args(arguments).current_dir(&folder.0).uid(NOBODY);
        command.stdin(Stdio::null());
    }
    // Files can be created in it, and it cannot be opened.
    let set_mode = |mode| fs::set_permissions(&flags, Permissions::from_mode(mode));
    set_mode(0o300).expect("it is ours");
    let ended = Ended::new(&command.output().expect("the program starts"));
    set_mode(0o700).expect("it is ours");
    assert_eq!(ended.code, Some(23), "{ended:?}");
    assert_eq!(Folder(flags).names(), [""; 0]);
}
