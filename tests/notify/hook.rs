//! Web hooks against a server with bad days, ntfy's and OneSignal's forms, and the telling loop around them.

use std::time::{Duration, Instant};

use doorward::logic::history::Delivered;
use doorward::logic::problem::Problem;
use serde_json::json;

use crate::kit::{
    Certificates, ID, Server, Stage, configured, delivery, limits, log, picture, silent_server, wait_for,
};

fn hook(name: &str, port: u16, more: &str) -> String {
    format!("[notify.{name}]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hook\"\n{more}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_whole_and_signed_when_the_server_has_recovered() {
    let mut server = Server::http(&["500", "500", "200", "--secret", "s3cret-hook"]).await;
    let mut stage =
        Stage::new(&hook("twice", server.port, "secret = \"s3cret-hook\"\ntoken = \"t0ken-hook\""));
    let folder = tempfile::tempdir().unwrap();
    let (path, sha256) = picture(folder.path());
    let mut sent = delivery(5, "twice");
    sent.picture = Some(path);
    stage.send(sent);
    assert_eq!(stage.end().await, (5, Delivered::Told));
    for _ in 0..3 {
        let request = server.next().await;
        assert_eq!((&request["method"], &request["path"]), (&json!("POST"), &json!("/hook")));
        assert_eq!(request["picture_sha256"], sha256);
        assert_eq!(request["json"]["title"], "Jürgen Groß ist am Gartentor 🚪");
        assert_eq!(request["signed"], true, "{request}");
        let header = |name: &str| &request["headers"][name];
        assert_eq!(header("authorization"), "Bearer t0ken-hook");
        assert_eq!((header("x-doorward-event"), header("idempotency-key")), (&json!(ID), &json!(ID)));
    }
    assert_eq!(server.rest().len(), 0);
    wait_for("the log", || log().contains("the target twice works again")).await;
    assert_eq!(log().matches("the target twice").count(), 2, "{}", log());
    assert!(!log().contains("s3cret-hook") && !log().contains("t0ken-hook"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_does_not_verify() {
    let mut server = Server::http(&["200", "--secret", "another"]).await;
    let mut stage = Stage::new(&hook("forged", server.port, "secret = \"s3cret-forged\""));
    stage.send(delivery(1, "forged"));
    assert_eq!(stage.end().await.1, Delivered::Told);
    assert_eq!(server.next().await["signed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_hang_break_off_or_dawdle_get_it_again() {
    let mut server = Server::http(&["hang", "close", "slow", "200"]).await;
    let mut stage = Stage::new(&hook("shaky", server.port, ""));
    stage.send(delivery(1, "shaky"));
    assert_eq!(stage.end().await, (1, Delivered::Told));
    for _ in 0..4 {
        assert_eq!(server.next().await["headers"]["idempotency-key"], ID);
    }
    assert_eq!(server.rest().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_pause_gets_it() {
    let mut server = Server::http(&["429:1", "503:3600", "200"]).await;
    let mut stage = Stage::new(&hook("busy", server.port, ""));
    stage.send(delivery(1, "busy"));
    assert_eq!(stage.end().await, (1, Delivered::Told));
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(server.next().await["time"].as_f64().unwrap());
    }
    assert!(times[1] - times[0] >= 1.0, "{times:?}");
    let pause = times[2] - times[1];
    assert!((1.5..10.0).contains(&pause), "an hour is cut to the longest pause: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final_and_said_in_plain_words() {
    for (answer, words) in [
        ("404", "The target final refused the message with 404: said the server 404."),
        ("400", "The target final refused the message with 400: said the server 400."),
        ("301", "The target final answered 301 and sends us elsewhere"),
    ] {
        let mut server = Server::http(&[answer]).await;
        let mut stage = Stage::new(&hook("final", server.port, ""));
        stage.send(delivery(1, "final"));
        let why = stage.given_up().await;
        assert!(why.starts_with(words), "{why}");
        server.next().await;
        assert_eq!(server.rest().len(), 0, "{answer}: it was asked once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_comes_back_from_a_server_that_repeats_everything() {
    let server = Server::http(&["echo"]).await;
    let url = format!(
        "http://user-s1:pass%2Ds2@127.0.0.1:{}/api/webhook/path-s3?key=query%2Ds4&other=value-s5",
        server.port
    );
    let text = format!("[notify.parrot]\ntype = \"webhook\"\nurl = \"{url}\"\nsecret = \"hmac-s6\"\n")
        + &hook("bearer", server.port, "token = \"token-s7\"");
    let mut stage = Stage::new(&text);
    stage.send(delivery(1, "parrot"));
    let mut said = stage.given_up().await;
    stage.send(delivery(2, "bearer"));
    said += &stage.given_up().await;
    said += &stage.try_out(None).await.unwrap().to_string();
    assert!(said.contains("refused the message with 401"), "{said}");
    said += &log();
    let basic = "dXNlci1zMTpwYXNzLXMy"; // user and password as they are sent
    for secret in ["user-s1", "s2@", "pass-s2", "path-s3", "query", "value-s5", "hmac-s6", "token-s7", basic]
    {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_down_gets_everything_in_order_when_it_is_back() {
    let (listener, port) = silent_server();
    drop(listener);
    let mut stage = Stage::new(&hook("down", port, "picture = false"));
    for number in 1..=5 {
        stage.send(delivery(number, "down"));
    }
    wait_for("a word in the log", || log().contains("the target down fails: it cannot be reached")).await;
    assert!(stage.has_no_end_yet());
    let mut server = Server::http(&["200", "--port", &port.to_string()]).await;
    for number in 1..=5 {
        assert_eq!(stage.end().await, (number, Delivered::Told));
        assert_eq!(server.next().await["json"]["number"], number);
    }
    wait_for("the log", || log().contains("the target down works again")).await;
    assert_eq!(log().matches("the target down ").count(), 2, "{}", log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_needs_a_certificate_of_the_named_authority() {
    let (ours, other) = (Certificates::new(), Certificates::new());
    let arguments = ["200", "--cert", &ours.path("cert.pem"), "--key", &ours.path("key.pem")];
    let mut server = Server::http(&arguments).await;
    let port = server.port;
    let with = |name: &str, ca: &str| {
        hook(name, port, &format!("ca_file = \"{ca}\"")).replace("http://", "https://")
    };
    let text =
        [with("right", &ours.path("ca.pem")), with("stranger", &other.path("ca.pem")), with("system", "")];
    let stage = Stage::new(&text.concat());
    let tried = stage.try_out(None).await.unwrap();
    let targets = tried["targets"].as_array().unwrap();
    let ok: Vec<bool> = targets.iter().map(|target| target["ok"].as_bool().unwrap()).collect();
    assert_eq!(ok, [true, false, false], "{tried}");
    for target in &targets[1..] {
        assert!(target["detail"].as_str().unwrap().contains("cannot be trusted"), "{tried}");
    }
    server.next().await;
    assert_eq!(server.rest().len(), 0);

    // The file is looked at each time: mended, it works.
    let mut stage = Stage::new(&with("mended", &other.path("ca.pem")));
    stage.send(delivery(1, "mended"));
    wait_for("a fault", || log().contains("the target mended fails: it cannot be trusted")).await;
    std::fs::copy(ours.path("ca.pem"), other.path("ca.pem")).unwrap();
    assert_eq!(stage.end().await, (1, Delivered::Told));
}

#[tokio::test(flavor = "multi_thread")]
async fn ntfy_gets_words_in_headers_and_the_picture_as_the_body() {
    let mut server = Server::http(&["200"]).await;
    let text = format!(
        "[notify.phone]\ntype = \"ntfy\"\nurl = \"http://127.0.0.1:{}/base/\"\ntopic = \"Tor-1\"\ntoken = \"tk_1\"\n",
        server.port
    );
    let stage = Stage::new(&text);
    let folder = tempfile::tempdir().unwrap();
    let (path, sha256) = picture(folder.path());
    let mut sent = delivery(1, "phone");
    stage.send(sent.clone());
    sent.picture = Some(path);
    stage.send(sent);
    let plain = server.next().await;
    assert_eq!((&plain["method"], &plain["path"]), (&json!("PUT"), &json!("/base/Tor-1")));
    assert!(plain["raw_title"].as_str().unwrap().starts_with("=?UTF-8?B?"), "{plain}");
    assert_eq!(plain["headers"]["title"], "Jürgen Groß ist am Gartentor 🚪");
    assert_eq!(plain["headers"]["authorization"], "Bearer tk_1");
    assert!(plain["text"].as_str().unwrap().contains("Camera: porch"), "{plain}");
    let with_picture = server.next().await;
    assert_eq!(with_picture["sha256"], sha256);
    let header = |name: &str| with_picture["headers"][name].as_str().unwrap();
    assert_eq!(header("filename"), format!("{ID}.jpg"));
    assert!(header("message").contains("Camera: porch, Person: juergen"), "{with_picture}");
    assert_eq!((header("tags"), header("title")), ("known", "Jürgen Groß ist am Gartentor 🚪"));
}

#[tokio::test(flavor = "multi_thread")]
async fn onesignal_gets_what_it_takes() {
    let taken = r#"text:{"id":"b98881cc","external_id":null}"#;
    let mut server = Server::http(&[taken, r#"text:{"id":"","errors":["nobody is subscribed"]}"#]).await;
    let text = format!(
        "[notify.app]\ntype = \"onesignal\"\nurl = \"http://127.0.0.1:{}/notifications\"\napp_id = \"app-1\"\n\
         token = \"os_1\"\nsegments = \"Family, Neighbours\"\n",
        server.port
    );
    let mut stage = Stage::new(&text);
    stage.send(delivery(1, "app"));
    assert_eq!(stage.end().await, (1, Delivered::Told));
    let request = server.next().await;
    assert_eq!(request["headers"]["authorization"], "Key os_1");
    assert_eq!(request["json"]["app_id"], "app-1");
    assert_eq!(request["json"]["included_segments"], json!(["Family", "Neighbours"]));
    assert_eq!(request["json"]["headings"]["en"], "Jürgen Groß ist am Gartentor 🚪");
    stage.send(delivery(2, "app"));
    let why = stage.given_up().await;
    assert_eq!(why, "The target app told nobody: [\"nobody is subscribed\"].");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_gone_or_huge_is_said_to_be() {
    let mut server = Server::http(&["200"]).await;
    let mut stage = Stage::new(&hook("bare", server.port, ""));
    let folder = tempfile::tempdir().unwrap();
    let huge = folder.path().join("huge.jpg");
    std::fs::File::create(&huge).unwrap().set_len((10 << 20) + 1).unwrap();
    for (path, note) in [
        (folder.path().join("gone.jpg"), "The picture is no longer kept."),
        (huge, "The picture is too large to be sent."),
    ] {
        let mut sent = delivery(1, "bare");
        sent.picture = Some(path);
        stage.send(sent);
        assert_eq!(stage.end().await.1, Delivered::Told);
        assert_eq!(server.next().await["json"]["picture_note"], note);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_given_up_whatever_the_clock_says() {
    let mut server = Server::http(&["500"]).await;
    let text = hook("aged", server.port, "give_up_after = 1");
    let mut stage = Stage::new(&text);
    let mut old = delivery(1, "aged");
    old.ts -= Duration::from_secs(3601);
    stage.send(old);
    let why = stage.given_up().await;
    assert_eq!(why, "The target aged was not told in time (notify.aged.give_up_after, 1 h).");
    assert_eq!(server.rest().len(), 0, "it was not even tried");

    // An event from the future, as after a clock that was put back.
    let mut stage = Stage::impatient(&text, Duration::from_secs(1));
    let mut early = delivery(2, "aged");
    early.ts += Duration::from_hours(48);
    stage.send(early);
    let why = stage.given_up().await;
    assert!(why.ends_with("At last it answered 500: said the server 500."), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_wait_and_the_oldest_leave() {
    let (_listener, port) = silent_server();
    let few = doorward::notify::Limits { most_waiting: 3, ..limits() };
    let mut stage = Stage::with(configured(&hook("full", port, "")).notify, few);
    stage.send(delivery(0, "full"));
    // The first may wait too or be under way already; six more leave no doubt.
    for number in 1..=6 {
        stage.send(delivery(number, "full"));
    }
    let mut left = Vec::new();
    for _ in 0..3 {
        let (number, end) = stage.end().await;
        assert_eq!(end, Delivered::GivenUp("Too many messages wait for full; this was the oldest.".into()));
        left.push(number);
    }
    assert!(left == [0, 1, 2] || left == [1, 2, 3], "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_no_longer_configured_is_given_up() {
    let mut stage = Stage::new("");
    stage.send(delivery(9, "removed"));
    let why = "There is no notify.removed in the configuration any more.".to_owned();
    assert_eq!(stage.end().await, (9, Delivered::GivenUp(why)));
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_need_a_target_that_exists() {
    let none = Stage::new("").try_out(None).await.unwrap_err();
    assert!(matches!(&none, Problem::NotFound { what } if what.contains("[notify.<name>]")), "{none}");
    let stage = Stage::new(&[hook("one", 1, ""), hook("two", 1, "")].concat());
    let unknown = stage.try_out(Some("three")).await.unwrap_err();
    assert!(unknown.to_string().contains("called \"three\", only one, two"), "{unknown}");
    let tried = stage.try_out(Some("two")).await.unwrap();
    assert_eq!(tried["targets"].as_array().unwrap().len(), 1);
    assert_eq!((&tried["targets"][0]["target"], &tried["targets"][0]["ok"]), (&json!("two"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_signal_drops_what_is_under_way() {
    let mut server = Server::http(&["hang"]).await;
    let mut stage = Stage::new(&hook("cut", server.port, ""));
    stage.send(delivery(1, "cut"));
    server.next().await;
    let begin = Instant::now();
    stage.shutdown.trigger();
    (&mut stage.task).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    assert!(stage.has_no_end_yet(), "the archive keeps it for the next start");
}
