//! Mail to a real server: in the clear, with TLS of both kinds, refused, put off, and never answered.

use std::time::{Duration, Instant};

use doorward::logic::history::Delivered;

use crate::kit::{Certificates, ID, Server, Stage, delivery, has_mail_server, log, picture, silent_server};

fn target(name: &str, port: u16, more: &str) -> String {
    format!(
        "[notify.{name}]\nserver = \"127.0.0.1\"\nport = {port}\nfrom = \"Türwächter <door@example.org>\"\n\
         to = \"Anna Groß <anna@example.org>, ben@example.org\"\n{more}\n"
    )
}

const CLEAR: &str = "security = \"none\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_arrives_with_words_and_picture() {
    if !has_mail_server() {
        return;
    }
    let mut server = Server::start("notify_smtp.py", &["plain"]).await;
    let mut stage = Stage::new(&target("plain", server.port, CLEAR));
    let folder = tempfile::tempdir().unwrap();
    let (path, sha256) = picture(folder.path());
    let mut sent = delivery(7, "plain");
    sent.picture = Some(path.clone());
    stage.send(sent.clone());
    assert_eq!(stage.end().await, (7, Delivered::Told));
    let mail = server.next().await;
    assert_eq!(mail["subject"], "Jürgen Groß ist am Gartentor 🚪");
    assert_eq!(mail["from"], "Türwächter <door@example.org>");
    assert_eq!(mail["recipients"], serde_json::json!(["anna@example.org", "ben@example.org"]));
    assert_eq!(mail["id"], format!("<{ID}.plain@example.org>"));
    let date: jiff::Timestamp = mail["date"].as_str().unwrap().parse().unwrap();
    assert_eq!(date.as_second(), sent.ts.as_second());
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("Gartentor 🚪") && text.contains("Camera: porch"), "{text}");
    let expected =
        serde_json::json!([{ "name": format!("{ID}.jpg"), "type": "image/jpeg", "sha256": sha256 }]);
    assert_eq!(mail["files"], expected);

    // The same event again is the same mail; the picture may have gone.
    std::fs::remove_file(path).unwrap();
    stage.send(sent);
    assert_eq!(stage.end().await, (7, Delivered::Told));
    let again = server.next().await;
    assert_eq!((&again["id"], &again["date"]), (&mail["id"], &mail["date"]));
    assert_eq!(again["files"], serde_json::json!([]));
    assert!(again["text"].as_str().unwrap().contains("The picture is no longer kept."), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_authority_that_was_named_and_no_other() {
    if !has_mail_server() {
        return;
    }
    let (ours, other) = (Certificates::new(), Certificates::new());
    for security in ["starttls", "tls"] {
        let arguments = [security, "--cert", &ours.path("cert.pem"), "--key", &ours.path("key.pem")];
        let login = ["--login", "ürsula", "p4ss wörd"];
        let mut server = Server::start("notify_smtp.py", &[&arguments[..], &login].concat()).await;
        let with = |name: &str, ca: &str, password: &str| {
            let more = format!(
                "security = \"{security}\"\nusername = \"ürsula\"\npassword = \"{password}\"\nca_file = \"{ca}\""
            );
            target(name, server.port, &more)
        };
        let right = with("right", &ours.path("ca.pem"), "p4ss wörd");
        let stranger = with("stranger", &other.path("ca.pem"), "p4ss wörd");
        let system = with("system", "", "p4ss wörd");
        let wrong = with("wrong", &ours.path("ca.pem"), "s3cret-mail");
        let mut stage = Stage::new(&[right, stranger, system, wrong].concat());

        let tried = stage.try_out(None).await.unwrap();
        let result = |at: usize| &tried["targets"][at];
        assert_eq!(result(0)["target"], "right");
        assert_eq!(result(0)["ok"], true, "{security}: {tried}");
        let mail = server.next().await;
        assert_eq!((&mail["encrypted"], &mail["login"]), (&true.into(), &true.into()), "{security}");
        assert_eq!(mail["files"][0]["type"], "image/jpeg");
        for at in [1, 2] {
            let detail = result(at)["detail"].as_str().unwrap();
            assert_eq!(result(at)["ok"], false, "{security}: {tried}");
            assert!(detail.contains("cannot be trusted") && detail.contains("ca_file"), "{detail}");
        }
        assert_eq!(result(3)["ok"], false, "{tried}");

        // A wrong password is no matter of time.
        stage.send(delivery(1, "wrong"));
        let why = stage.given_up().await;
        assert!(why.starts_with("The target wrong refused the mail with 535: "), "{why}");
        for text in [why, tried.to_string(), log()] {
            assert!(!text.contains("s3cret-mail") && !text.contains("p4ss wörd"), "{text}");
        }
        assert_eq!(server.rest().len(), 0, "{security}: nothing else arrived");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_server_without_the_tls_that_was_asked_for() {
    if !has_mail_server() {
        return;
    }
    let mut server = Server::start("notify_smtp.py", &["plain"]).await;
    let stage = Stage::new(&target("strict", server.port, ""));
    let tried = stage.try_out(Some("strict")).await.unwrap();
    assert_eq!(tried["targets"][0]["ok"], false, "{tried}");
    assert!(tried["targets"][0]["detail"].as_str().unwrap().contains("STARTTLS"), "{tried}");
    assert_eq!(server.rest().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_off_comes_again_and_what_is_refused_does_not() {
    if !has_mail_server() {
        return;
    }
    let mut server = Server::start("notify_smtp.py", &["plain"]).await;
    let to = |name: &str, address: &str| {
        target(name, server.port, CLEAR).replace("ben@example.org", &format!("{address}@example.org"))
    };
    let mut stage = Stage::new(&[to("patient", "later"), to("vain", "nobody")].concat());
    stage.send(delivery(1, "patient"));
    assert_eq!(stage.end().await, (1, Delivered::Told));
    assert_eq!(server.next().await["recipients"][1], "later@example.org");
    stage.send(delivery(2, "vain"));
    let why = stage.given_up().await;
    assert!(why.contains("refused the mail with 550") && why.contains("nobody of that name"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_never_answers_delays_nobody_else() {
    let (_listener, port) = silent_server();
    let mut server = Server::http(&["200"]).await;
    let hook = format!("[notify.quick]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n", server.port);
    let both = format!("{}{hook}", target("hanging", port, CLEAR));
    let mut stage = Stage::impatient(&both, Duration::from_secs(4));
    let begin = Instant::now();
    stage.send(delivery(1, "hanging"));
    stage.send(delivery(2, "quick"));
    assert_eq!(stage.end().await, (2, Delivered::Told));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    server.next().await;
    let why = stage.given_up().await;
    assert!(why.contains("give_up_after") && why.contains("did not answer within 2 seconds"), "{why}");
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}
