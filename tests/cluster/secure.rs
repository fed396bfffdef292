//! Servers that want to know who connects: right ones come in, and wrong ones are
//! told so at once.

use crate::functions::{self, SQUARE};
use crate::server::Server;
use crate::support::{PATIENCE, alarm};
use as_completed::CancelToken;
use as_completed::cluster::{Cluster, ClusterBuilder, ClusterError, Worker};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder for files, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("as_completed_secure_{name}_{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Errors come before the alarm, not after the timeout.
fn builder(url: &str) -> ClusterBuilder {
    Cluster::builder(url, functions::all()).connect_timeout(Duration::from_secs(3600))
}

fn assert_is_refused(server: &Server, error: &ClusterError) {
    let server = server.url();
    assert_eq!(*error, ClusterError::Credentials { server });
}

type Authority = CertifiedIssuer<'static, rcgen::KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate and its key, and returns their paths.
fn certificate(folder: &Folder, authority: &Authority, name: &str) -> [String; 2] {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    [
        folder.write(&format!("{name}.pem"), &certificate.pem()),
        folder.write(&format!("{name}.key"), &key.serialize_pem()),
    ]
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_one() {
    let _alarm = alarm();
    let folder = Folder::new("tls");
    let (own, other) = (authority(), authority());
    let roots = folder.write("roots.pem", &own.pem());
    let other_roots = folder.write("other.pem", &other.pem());
    let [server_certificate, server_key] = certificate(&folder, &own, "server");
    let [right, key] = certificate(&folder, &own, "client");
    let [wrong, wrong_key] = certificate(&folder, &other, "stranger");
    let config = format!(
        "tls: {{ timeout: 60, verify: true, cert_file: {server_certificate:?}, \
         key_file: {server_key:?}, ca_file: {roots:?} }}"
    );
    let Some(server) = Server::start_with_config(&config) else {
        return;
    };
    let url = server.url().replace("nats://", "tls://");
    let with = |roots: &str, certificate: &str, key: &str| {
        let builder = builder(&url).root_certificates(roots);
        builder.client_certificate(certificate, key).connect()
    };
    let cluster = with(&roots, &right, &key).unwrap();
    let worker = Worker::builder(&url, functions::all()).threads(1);
    let worker = worker.connect_timeout(PATIENCE);
    let worker = worker.root_certificates(&roots);
    let worker = worker.client_certificate(&right, &key).build().unwrap();
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| worker.run_until(&token));
        assert_eq!(cluster.call(SQUARE, 3).join().unwrap(), 9);
        token.cancel();
        running.join().unwrap().unwrap();
    });
    let without = builder(&url).root_certificates(&roots).connect();
    let without_roots = builder(&url).connect();
    for (wrong, cause) in [
        (without, "certificate"),
        (with(&roots, &wrong, &wrong_key), "certificate"),
        (with(&other_roots, &right, &key), "certificate"),
        (without_roots, "certificate"),
        (with("/nowhere.pem", &right, &key), "no such file"),
    ] {
        let error = wrong.unwrap_err();
        let is_named = matches!(&error, ClusterError::Unreachable { server, .. } if *server == url);
        assert!(is_named, "{error:?}");
        assert!(error.to_string().to_lowercase().contains(cause), "{error}");
    }
}

#[test]
fn a_token_is_right_or_wrong() {
    let _alarm = alarm();
    let Some(server) = Server::start_with_config("authorization: { timeout: 60, token: secret }")
    else {
        return;
    };
    let with = |token: &str| builder(&server.url()).token(token).connect();
    drop(with("secret").unwrap());
    assert_is_refused(&server, &with("wrong").unwrap_err());
    assert_is_refused(&server, &builder(&server.url()).connect().unwrap_err());
}

#[test]
fn an_nkey_is_right_or_wrong() {
    let _alarm = alarm();
    let (known, unknown) = (KeyPair::new_user(), KeyPair::new_user());
    let key = known.public_key();
    let users = format!("authorization: {{ timeout: 60, users: [ {{ nkey: {key} }} ] }}");
    let Some(server) = Server::start_with_config(&users) else {
        return;
    };
    let with = |seed: &str| builder(&server.url()).nkey(seed).connect();
    drop(with(&known.seed().unwrap()).unwrap());
    assert_is_refused(&server, &with(&unknown.seed().unwrap()).unwrap_err());
    // Not a seed at all.
    let error = with("SUNOT").unwrap_err();
    assert!(!error.to_string().contains("SUNOT"), "{error}");
}

#[test]
fn a_credentials_file_is_read_and_a_wrong_one_is_refused() {
    let _alarm = alarm();
    let folder = Folder::new("credentials");
    let Some(server) =
        Server::start_with_config("authorization: { timeout: 60, user: u, password: p }")
    else {
        return;
    };
    let with = |path: &Path| builder(&server.url()).credentials_file(path).connect();
    let missing = folder.0.join("missing.creds");
    let empty = folder.write("empty.creds", "");
    for path in [missing.as_path(), empty.as_ref()] {
        match with(path).unwrap_err() {
            ClusterError::Settings(text) => {
                assert!(text.contains(path.to_str().unwrap()), "{text}");
            }
            other => unreachable!("{other:?}"),
        }
    }
    let seed = KeyPair::new_user().seed().unwrap();
    let unknown = format!(
        "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    let unknown = folder.write("unknown.creds", &unknown);
    assert_is_refused(&server, &with(unknown.as_ref()).unwrap_err());
}

#[test]
fn a_user_without_a_right_to_the_queue_is_told_which() {
    let _alarm = alarm();
    let user = |name: &str, publish: &str, subscribe: &str| {
        format!(
            "{{ user: {name}, password: p, permissions: {{ publish: [{publish}], \
             subscribe: [{subscribe}] }} }}"
        )
    };
    let all = r#""as_completed.q.>", "_INBOX.>", "$JS.API.>", "$JS.ACK.>""#;
    let users = [
        user("all", all, r#""as_completed.q.>", "_INBOX.>""#),
        user(
            "mute",
            r#""$JS.API.>", "_INBOX.>""#,
            r#""as_completed.q.>", "_INBOX.>""#,
        ),
        user("deaf", all, r#""_INBOX.>""#),
    ];
    let users = users.join(", ");
    let users = format!("authorization: {{ timeout: 60, users: [ {users} ] }}");
    let Some(server) = Server::start_with_config(&users) else {
        return;
    };
    let with = |user: &str| {
        let builder = builder(&server.url()).queue("q");
        builder.user_and_password(user, "p").connect()
    };
    // What the documentation of the module says is enough.
    drop(with("all").unwrap());
    for (user, right) in [("mute", "publish"), ("deaf", "subscription")] {
        let error = with(user).unwrap_err();
        assert!(matches!(error, ClusterError::Forbidden { .. }), "{error:?}");
        let text = error.to_string().to_lowercase();
        assert!(
            text.contains(right) && text.contains("as_completed.q."),
            "{error}"
        );
    }
}
