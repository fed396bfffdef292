//! Errors of connecting, which name the server.

use crate::functions;
use crate::server::Server;
use crate::support::{Bomb, PATIENCE, alarm, expect_panics};
use crate::worker::{self, LEASE};
use as_completed::CancelToken;
use as_completed::cluster::{Cluster, ClusterBuilder, ClusterError, Worker};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Connects for as long as a slow machine takes.
fn builder(server: &Server) -> ClusterBuilder {
    Cluster::builder(&server.url(), functions::all()).connect_timeout(PATIENCE)
}

fn error(server: &Server) -> ClusterError {
    builder(server).connect().unwrap_err()
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let _alarm = alarm();
    // Nobody else takes it meanwhile, as one that is free at the moment.
    let url = "nats://127.0.0.1:1";
    let error = Cluster::connect(url, functions::all()).unwrap_err();
    assert!(matches!(&error, ClusterError::Unreachable { server, .. } if *server == url));
    assert!(error.to_string().contains(url), "{error}");
    let worker = Worker::builder(url, functions::all())
        .threads(1)
        .build()
        .unwrap();
    let error = worker.run_until(&CancelToken::new()).unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }));
}

#[test]
fn an_observer_whose_drop_panics_does_not_hide_the_error() {
    let _alarm = alarm();
    expect_panics();
    let bomb = Bomb("an observer dropped on purpose");
    let error = Cluster::builder("nats://127.0.0.1:1", functions::all())
        .observer(move |_| {
            let _whole = &bomb;
        })
        .connect()
        .unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }));
}

/// What a server says to those who connect to it.
type Answers = fn(&mut dyn BufRead, &mut dyn Write) -> std::io::Result<()>;

/// Starts a server that answers so, and returns its address.
fn answering(answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    // It ends with the tests.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut reader) = {
                let stream = stream.unwrap();
                (stream.try_clone().unwrap(), BufReader::new(stream))
            };
            thread::spawn(move || {
                // The client closes the connection when it gives up.
                let _ = answers(&mut reader, &mut stream);
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
            });
        }
    });
    url
}

fn say_who_it_is(to: &mut dyn Write) -> std::io::Result<()> {
    let info = "{\"server_id\":\"a\",\"server_name\":\"a\",\"version\":\"2.9.10\",\
                \"go\":\"go1.19\",\"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\
                \"max_payload\":1048576,\"proto\":1,\"client_id\":1}";
    write!(to, "INFO {info}\r\n")
}

#[test]
fn a_server_that_stops_answering_at_whatever_point_is_an_error_after_the_timeout() {
    const AFTER_NOTHING: Answers = |_, _| Ok(());
    const AFTER_ITS_INFO: Answers = |_, to| say_who_it_is(to);
    const TO_REQUESTS: Answers = |from, to| {
        say_who_it_is(to)?;
        for line in from.lines() {
            if line? == "PING" {
                write!(to, "PONG\r\n")?;
            }
        }
        Ok(())
    };
    let _alarm = alarm();
    let timeout = Duration::from_millis(300);
    for answers in [AFTER_NOTHING, AFTER_ITS_INFO, TO_REQUESTS] {
        let url = answering(answers);
        let cluster = Cluster::builder(&url, functions::all()).connect_timeout(timeout);
        let worker = Worker::builder(&url, functions::all()).connect_timeout(timeout);
        let worker = worker.build().unwrap();
        for error in [
            cluster.connect().unwrap_err(),
            worker.run_until(&CancelToken::new()).unwrap_err(),
        ] {
            assert!(matches!(&error, ClusterError::Unreachable { server, .. } if *server == url));
            assert!(error.to_string().contains(&url), "{error}");
        }
    }
}

#[test]
fn a_durable_name_that_somebody_has_who_does_not_answer_is_an_error_after_the_timeout() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let builder = worker::builder(&server).lease(60 * PATIENCE);
    drop(builder.connect().unwrap());
    // Cut off, as the server sees it.
    let mut silent = TcpStream::connect(server.url().trim_start_matches("nats://")).unwrap();
    let subject = "as_completed.default.submitter.*.told";
    let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {subject} 1\r\nPING\r\n");
    silent.write_all(hello.as_bytes()).unwrap();
    let mut lines = BufReader::new(silent).lines();
    assert!(lines.any(|line| line.unwrap() == "PONG"));
    let cluster = Cluster::builder(&server.url(), functions::all()).durable("nightly");
    let error = cluster.connect_timeout(Duration::from_secs(1)).connect();
    let error = error.unwrap_err();
    assert!(matches!(&error, ClusterError::Unreachable { .. }));
    assert!(error.to_string().contains(&server.url()), "{error}");
    drop(lines);
}

#[test]
fn a_wrong_password_is_an_error_at_once() {
    let _alarm = alarm();
    let Some(server) =
        Server::start_with_config("authorization: { timeout: 60, user: u, password: p }")
    else {
        return;
    };
    let connect = |password: &str| {
        let builder = builder(&server).user_and_password("u", password);
        builder.connect()
    };
    let url = server.url();
    for error in [connect("wrong").unwrap_err(), error(&server)] {
        assert_eq!(
            error,
            ClusterError::Credentials {
                server: url.clone()
            }
        );
    }
    connect("p").unwrap();
}

#[test]
fn a_server_without_jetstream_is_an_error_at_once() {
    let _alarm = alarm();
    let Some(server) = Server::start_with(&[]) else {
        return;
    };
    assert_eq!(
        error(&server),
        ClusterError::NoJetStream {
            server: server.url()
        }
    );
}

#[test]
fn a_user_without_rights_is_told_which_are_missing() {
    let _alarm = alarm();
    let rights = "authorization: { timeout: 60, users: [ { user: u, password: p, \
                  permissions: { publish: [\"nothing\"], subscribe: [\"_INBOX.>\"] } } ] }";
    let Some(server) = Server::start_with_config(rights) else {
        return;
    };
    let with_rights = builder(&server).user_and_password("u", "p");
    let error = with_rights.connect().unwrap_err();
    assert!(
        matches!(&error, ClusterError::Forbidden { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("$JS.API"), "{error}");
}

#[test]
fn a_queue_with_other_settings_says_which() {
    let _alarm = alarm();
    let Some(server) = Server::start() else {
        return;
    };
    let _first = worker::builder(&server)
        .queue_capacity(10)
        .connect()
        .unwrap();
    let other = worker::builder(&server)
        .queue_capacity(20)
        .connect()
        .unwrap_err();
    let text = "queue \"default\" exists with queue_capacity 10, where 20 is asked for";
    assert_eq!(other.to_string(), text);
    let other = worker::builder(&server)
        .lease(2 * LEASE)
        .connect()
        .unwrap_err();
    assert!(matches!(
        other,
        ClusterError::Mismatch {
            setting: "lease",
            ..
        }
    ));
    // What is not set is as it is.
    builder(&server).connect().unwrap();
}

#[test]
fn a_queue_whose_stream_another_queue_keeps_beside_it_is_refused_by_name() {
    const URL: &str = "nats://127.0.0.1:1";
    for name in ["x_large", "x_large_durable", "x_records"] {
        let cluster = Cluster::builder(URL, functions::all()).queue(name);
        let worker = Worker::builder(URL, functions::all()).queue(name);
        for error in [cluster.connect().unwrap_err(), worker.build().unwrap_err()] {
            assert!(matches!(error, ClusterError::Settings(_)), "{error:?}");
            let (name, text) = (format!("{name:?}"), error.to_string());
            assert!(text.contains(&name) && text.contains("\"x\""), "{text}");
        }
    }
    for name in ["large", "x_large_1", "x-records", "records_x"] {
        let worker = Worker::builder(URL, functions::all()).queue(name);
        worker.build().unwrap();
    }
    // Nothing of the server has such a name made from this one.
    let durable = Cluster::builder(URL, functions::all()).durable("x_records");
    let error = durable.connect().unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }));
}

#[test]
fn settings_that_make_no_sense_are_errors() {
    let builder = || Cluster::builder("nats://127.0.0.1:1", functions::all());
    for error in [
        builder().queue("a.b").connect(),
        builder().queue("").connect(),
        builder().queue_capacity(0).connect(),
        builder().lease(Duration::ZERO).connect(),
    ] {
        assert!(matches!(error.unwrap_err(), ClusterError::Settings(_)));
    }
}
