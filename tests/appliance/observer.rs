//! An independent witness: `mosquitto_sub` writes down everything that the broker delivers.
//!
//! Not here: what should be seen.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::t;

/// No step takes longer on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Retained outside of all our topics: whoever gets it has subscribed.
const READY: &str = "test/ready";

/// Where a broker is, and as whom to enter.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// One message as the broker delivered it.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) at: Instant,
    pub(crate) retained: bool,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap_or("(not text)")
    }

    /// Whether it is a word of the MQTT session on `log`, where warnings of all appliances in this process stand too.
    pub(crate) fn is_remark(&self) -> bool {
        self.topic == t("log") && self.json()["target"] == "mqtt"
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload)
            .unwrap_or_else(|error| panic!("{}: {error}: {self}", self.topic))
    }
}

impl std::fmt::Display for Message {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.retained { "retained " } else { "" };
        match std::str::from_utf8(&self.payload) {
            Ok(text) => write!(to, "{mark}{} = {}", self.topic, text.chars().take(300).collect::<String>()),
            Err(_) => write!(to, "{mark}{} = {} bytes", self.topic, self.payload.len()),
        }
    }
}

#[derive(Default)]
struct Seen {
    messages: Mutex<Vec<Message>>,
    more: Condvar,
}

/// A running `mosquitto_sub` and all that it has seen.
pub(crate) struct Observer {
    process: Child,
    seen: Arc<Seen>,
}

impl Observer {
    /// Subscribes to everything; returns when the broker has taken the subscription.
    pub(crate) fn new(door: &Door) -> Self {
        door.publish_with(&["-r"], READY, b"1");
        let mut command = door.client("mosquitto_sub");
        command.args(["-V", "5", "-q", "1", "-t", "#", "-F", "%r %q %t %x"]);
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("mosquitto_sub runs");
        let lines = BufReader::new(process.stdout.take().expect("it was asked for")).lines();
        let seen = Arc::new(Seen::default());
        let book = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let message = read(&line);
                book.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                book.more.notify_all();
            }
        });
        let observer = Self { process, seen };
        observer
            .wait("the subscription", |seen| seen.iter().any(|message| message.topic == READY).then_some(()));
        observer
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Message>> {
        self.seen.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages were seen: a place to look from later.
    pub(crate) fn mark(&self) -> usize {
        self.messages().len()
    }

    /// Everything seen since `mark`.
    pub(crate) fn since(&self, mark: usize) -> Vec<Message> {
        self.messages()[mark..].to_vec()
    }

    /// Everything.
    pub(crate) fn all(&self) -> Vec<Message> {
        self.since(0)
    }

    /// Waits until `find` finds something among all messages.
    pub(crate) fn wait<T>(&self, what: &str, find: impl Fn(&[Message]) -> Option<T>) -> T {
        self.wait_for(PATIENCE, what, find)
    }

    pub(crate) fn wait_for<T>(
        &self,
        limit: Duration,
        what: &str,
        find: impl Fn(&[Message]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        let mut messages = self.messages();
        loop {
            if let Some(found) = find(&messages) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let lines: Vec<String> = messages.iter().map(Message::to_string).collect();
                let first = lines.len().saturating_sub(80);
                panic!(
                    "not seen in {limit:?}: {what}; the last of {} messages:\n{}",
                    lines.len(),
                    lines[first..].join("\n")
                );
            }
            messages = self.seen.more.wait_timeout(messages, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a message after `mark` and returns it with the place after it.
    pub(crate) fn next(&self, mark: usize, what: &str, is: impl Fn(&Message) -> bool) -> (Message, usize) {
        self.next_within(PATIENCE, mark, what, is)
    }

    pub(crate) fn next_within(
        &self,
        limit: Duration,
        mark: usize,
        what: &str,
        is: impl Fn(&Message) -> bool,
    ) -> (Message, usize) {
        self.wait_for(limit, what, |seen| {
            let at = seen.iter().skip(mark).position(&is)? + mark;
            Some((seen[at].clone(), at + 1))
        })
    }

    /// Waits for this text on this topic after `mark`; returns the place after it.
    pub(crate) fn says(&self, mark: usize, topic: &str, text: &str) -> usize {
        self.next(mark, &format!("{topic} = {text}"), |message| {
            message.topic == topic && message.text() == text
        })
        .1
    }

    /// What a topic said last.
    pub(crate) fn last(&self, topic: &str) -> Option<String> {
        self.messages()
            .iter()
            .rev()
            .find(|message| message.topic == topic)
            .map(|message| message.text().to_owned())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(line: &str) -> Message {
    let mut parts = line.splitn(4, ' ');
    let mut part = || parts.next().unwrap_or_default();
    let (retained, _qos, topic, hex) = (part() == "1", part(), part().to_owned(), part());
    let byte =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or("?"), 16).expect("hex digits");
    let payload = hex.as_bytes().chunks(2).map(byte).collect();
    Message { at: Instant::now(), retained, topic, payload }
}

impl Door {
    /// A stock client with address and login.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = tool(program);
        let port = self.port.to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-u", &self.user, "-P", &self.password]);
        command
    }

    /// Publishes any bytes.
    pub(crate) fn publish(&self, topic: &str, payload: &[u8]) {
        self.publish_with(&[], topic, payload);
    }

    pub(crate) fn publish_with(&self, options: &[&str], topic: &str, payload: &[u8]) {
        let mut command = self.client("mosquitto_pub");
        command.args(["-q", "1", "-t", topic]).args(options);
        command.arg(if payload.is_empty() { "-n" } else { "-s" });
        let output = run_with_input(command, payload);
        assert!(output.status.success(), "{topic}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What the broker keeps: everything that a fresh subscriber gets at once.
    pub(crate) fn retained(&self) -> Vec<Message> {
        self.publish_with(&["-r"], READY, b"1");
        let mut command = self.client("mosquitto_sub");
        // Ends by the time limit: a broker that holds nothing sends nothing.
        command.args(["-V", "5", "-q", "1", "-t", "#", "-F", "%r %q %t %x", "--retained-only", "-W", "2"]);
        let output = command.output().expect("mosquitto_sub runs");
        let text = String::from_utf8(output.stdout).expect("hex digits and topics");
        let kept: Vec<Message> = text.lines().map(read).filter(|message| message.retained).collect();
        assert!(kept.iter().any(|message| message.topic == READY), "the fresh subscriber saw nothing at all");
        kept.into_iter().filter(|message| message.topic != READY).collect()
    }
}

/// Runs a command to its end with something on its standard input.
pub(crate) fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("the program runs");
    // A program that reads nothing closes the pipe.
    let _ = process.stdin.take().expect("it was asked for").write_all(input);
    process.wait_with_output().expect("its end can be waited for")
}

/// A program of the system; without it the tests fail with this sentence.
pub(crate) fn tool(name: &str) -> Command {
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    Command::new(
        found.unwrap_or_else(|| {
            panic!("{name} is not installed; `.ci/setup test` brings what the tests need")
        }),
    )
}

/// Sends a request and returns its answer.
pub(crate) fn ask(door: &Door, observer: &Observer, verb: &str, mut body: Value) -> Value {
    let mark = observer.mark();
    body["transaction"] = json!(format!("t{mark}"));
    door.publish(&t(&format!("request/{verb}")), body.to_string().as_bytes());
    let (answer, _) = observer.next(mark, &format!("the answer to {verb}"), |m| {
        m.topic == t(&format!("response/{verb}")) && m.json()["transaction"] == body["transaction"]
    });
    answer.json()
}

/// Sends a request, which must be carried out, and returns its data.
pub(crate) fn done(door: &Door, observer: &Observer, verb: &str, body: Value) -> Value {
    let answer = ask(door, observer, verb, body);
    assert_eq!(answer["status"], "ok", "{verb}: {answer}");
    answer["data"].clone()
}
