//! Who is told of what, and who is asked for our own address.

use std::time::Duration;

use super::super::{Ask, Form, Question, Security, Way};
use super::{Case, faults_of};
use crate::logic::rules;

const MAIL: &str = "[notify.anna]\nserver = \"mail.example.org\"\nfrom = \"Doorward <door@example.org>\"\n\
                    to = \"Anna Groß <anna@example.org>, ben@example.org\"\n";

#[test]
fn targets_are_sorted_and_have_everything_they_need() {
    let file = format!(
        "{MAIL}username = \"u\"\npassword = \"geheim\"\nhours = \"22:00-06:00\"\nonly_when_away = true\n\
         [notify.hook]\ntype = \"webhook\"\nurl = \"https://u:p@h.example/api/webhook/geheim?x=geheim\"\nsecret = \"geheim\"\n\
         token = \"geheim\"\nevents = \"all\"\npicture = false\ngive_up_after = 1\n\
         [notify.phone]\ntype = \"ntfy\"\nurl = \"http://ntfy.lan\"\ntopic = \"door\"\n\
         [notify.app]\ntype = \"onesignal\"\napp_id = \"7\"\ntoken = \"geheim\"\n"
    );
    let config = Case::new().file(&file).good();
    assert!(!format!("{config:?}").contains("geheim"));
    let [anna, app, hook, phone] = config.notify.as_slice() else { panic!("{:?}", config.notify) };
    let Way::Mail(mail) = &anna.way else { panic!("{anna:?}") };
    assert_eq!(
        (mail.server.as_str(), mail.port, mail.security),
        ("mail.example.org", 587, Security::StartTls)
    );
    assert_eq!(mail.to.iter().count(), 2);
    assert_eq!(mail.login.as_ref().unwrap().password.as_ref().unwrap().expose(), "geheim");
    assert_eq!(anna.rule.kinds, rules::kinds("known, unknown").unwrap());
    assert_eq!((anna.rule.away_after, anna.picture), (Some(Duration::from_mins(30)), true));
    assert_eq!(anna.give_up_after, Duration::from_hours(24));
    let Way::Hook(way) = &hook.way else { panic!("{hook:?}") };
    assert!(matches!(&way.form, Form::Json { secret: Some(secret) } if secret.expose() == "geheim"));
    assert_eq!((hook.picture, hook.give_up_after), (false, Duration::from_hours(1)));
    let Way::Hook(way) = &phone.way else { panic!("{phone:?}") };
    assert!(matches!(&way.form, Form::Ntfy { topic } if topic == "door") && way.token.is_none());
    let Way::Hook(way) = &app.way else { panic!("{app:?}") };
    assert_eq!(way.url.expose(), "https://api.onesignal.com/notifications");
    assert!(
        matches!(&way.form, Form::OneSignal { segments, .. } if *segments == ["Total Subscriptions"])
            && !app.picture
    );
}

#[test]
fn ports_follow_the_security_of_mail() {
    for (security, port, expected) in
        [("starttls", 0, 587), ("tls", 0, 465), ("none", 0, 25), ("none", 2525, 2525)]
    {
        let config = Case::new().file(format!("{MAIL}security = \"{security}\"\nport = {port}")).good();
        let Way::Mail(mail) = &config.notify[0].way else { panic!() };
        assert_eq!(mail.port, expected, "{security}");
    }
}

#[test]
fn secrets_may_come_from_files_and_targets_from_the_environment() {
    let case = Case::new();
    let path = case.folder.path().join("token");
    std::fs::write(&path, "from-file\nmore\n").unwrap();
    let case = case
        .env("DOORWARD__NOTIFY__PHONE__TYPE", "ntfy")
        .env("DOORWARD__NOTIFY__PHONE__URL", "https://ntfy.example")
        .env("DOORWARD__NOTIFY__PHONE__TOPIC", "door")
        .set(&format!("notify.phone.token_file={}", path.display()));
    let config = case.good();
    let Way::Hook(way) = &config.notify[0].way else { panic!() };
    assert_eq!(way.token.as_ref().unwrap().expose(), "from-file");
    std::fs::write(&path, "two words\n").unwrap();
    assert_eq!(
        case.lines(),
        [
            "notify.phone.token_file: the first line of the file needs plain characters, without spaces (flag --set \
          notify.phone.token_file)"
        ]
    );
}

#[test]
fn what_a_target_lacks_or_does_not_take_is_told() {
    let table: &[(&str, &[&str])] = &[
        (
            "[notify.a]",
            &[
                "notify.a.server: needed for type mail",
                "notify.a.from: needed for type mail",
                "notify.a.to: needed for type mail",
            ],
        ),
        (
            "[notify.a]\ntype = \"webhook\"\nport = 25",
            &[
                "notify.a.port: only for type mail, but notify.a.type is webhook; remove it, or set the type (doorward.toml:3)",
                "notify.a.url: needed for type webhook (doorward.toml:2)",
            ],
        ),
        (
            "[notify.a]\ntype = \"ntfy\"\nurl = \"http://h\"\ntopic = \"t\"\nsecret = \"s\"\nsecurity = \"starttls\"",
            &[
                "notify.a.secret: only for type webhook, but notify.a.type is ntfy; remove it, or set the type (doorward.toml:5)",
            ],
        ),
        (
            "[notify.a]\ntype = \"onesignal\"\napp_id = \"x\"",
            &["notify.a.token: needed for type onesignal (doorward.toml:2)"],
        ),
        (
            "[notify.a]\ntype = \"webhook\"\nurl = \"ftp://geheim\"",
            &["notify.a.url: needs a whole address that begins with https:// or http:// (doorward.toml:3)"],
        ),
        (
            "[notify.a]\ntype = \"webhook\"\nurl = \"http://h\"\nca_file = \"/no/such.pem\"",
            &[
                "notify.a.ca_file = \"/no/such.pem\": cannot be read: No such file or directory (os error 2) (doorward.toml:4)",
            ],
        ),
        (
            "cameras.porch.fps = 5\n[notify.a]\ntype = \"webhook\"\nurl = \"http://h\"\ncameras = \"porch, yard\"",
            &["notify.a.cameras: there is no camera yard, only porch (doorward.toml:5)"],
        ),
        (
            "[notify.test]\ntype = \"webhook\"\nurl = \"http://h\"",
            &[
                "notify.test: the target's name \"test\" is taken by a command; choose another (doorward.toml:1)",
            ],
        ),
        (
            "[[notify]]",
            &["notify: each target is a section of its own, such as [notify.phone] (doorward.toml:1)"],
        ),
        (
            "[notify.a]\ntype = \"mial\"\ntopic = \"t\"",
            &[
                "notify.a.type = \"mial\": not known, allowed: mail, webhook, ntfy, onesignal (doorward.toml:2)",
            ],
        ),
        ("[notifi.a]", &["notifi: unknown section, did you mean notify? (doorward.toml:1)"]),
    ];
    for (file, expected) in table {
        assert_eq!(faults_of(file), *expected, "{file}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_what_could() {
    let table = [
        ("events = \"knwon\"", "events = \"knwon\": needs one or more of motion, known, unknown, unsure"),
        ("hours = \"22-6\"", "hours = \"22-6\": needs spans such as 22:00-06:00"),
        ("days = \"monday\"", "days = \"monday\": needs days such as mon, wed or mon-fri"),
        ("people = \"Anna\"", "people = \"Anna\": needs the slugs of people"),
        ("to = \"anna\"", "to = \"anna\": needs mail addresses"),
        ("from = \"a@x.org, b@x.org\"", "from = \"a@x.org, b@x.org\": needs one mail address"),
        ("to = \" , \"", "to = \" , \": needs mail addresses"),
        ("server = \"h:25\"", "server = \"h:25\": needs only the host name"),
        ("topic = \"a/b\"", "topic: needs 1 to 64 characters"),
        ("token = \"ge heim\"", "token: needs plain characters"),
        ("give_up_after = 200", "give_up_after = 200: out of range, allowed: 1 to 168 hours"),
    ];
    for (line, expected) in table {
        let lines = faults_of(&format!("[notify.a]\n{line}"));
        assert!(lines[0].starts_with(&format!("notify.a.{expected}")), "{line}: {lines:?}");
        assert!(!lines.join("").contains("heim"), "{lines:?}");
    }
}

#[test]
fn there_is_an_end_to_the_number_of_targets() {
    let targets = |count: usize| -> String {
        (0..count).map(|at| format!("[notify.t{at}]\ntype = \"webhook\"\nurl = \"http://h\"\n")).collect()
    };
    assert_eq!(Case::new().file(targets(16)).good().notify.len(), 16);
    assert_eq!(faults_of(&targets(17)), ["notify: 17 targets are more than 16; remove some"]);
}

#[test]
fn nobody_is_asked_for_our_address_unless_named() {
    assert!(Case::new().good().public_address.is_none());
    assert!(Case::new().file("public_address.interval = 60").good().public_address.is_none());
    let config = Case::new().file("public_address.ask = \"https://x.example/?key=geheim\"").good();
    assert!(!format!("{config:?}").contains("geheim"));
    assert!(matches!(config.public_address.unwrap().ask, Ask::Http(_)));
    let table = [
        ("me.example@192.0.2.53", Some(("me.example", "192.0.2.53", 53))),
        ("me.example.@ns.example:5353", Some(("me.example.", "ns.example", 5353))),
        ("me.example@2001:db8::53", Some(("me.example", "2001:db8::53", 53))),
        ("me.example@[2001:db8::53]:54", Some(("me.example", "2001:db8::53", 54))),
        ("me.example@[2001:db8::53]", Some(("me.example", "2001:db8::53", 53))),
        ("me.example@ns:0", None),
        ("me.example@ns:x", None),
        ("me.example@", None),
        ("@ns", None),
        ("me..example@ns", None),
        ("me.example", None),
    ];
    for (text, expected) in table {
        let expected = expected.map(|(name, server, port)| Question {
            name: name.to_owned(),
            server: server.to_owned(),
            port,
        });
        assert_eq!(Question::parse(text).ok(), expected, "{text}");
        let lines = faults_of(&format!("public_address.ask = \"dns:{text}\""));
        assert_eq!(lines.is_empty(), expected.is_some(), "{lines:?}");
    }
}
