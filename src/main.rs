//! The program: reads its arguments and the configuration, runs the appliance, returns an exit code.
//!
//! Not here: everything else; see the library's map in `lib.rs`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use doorward::app::client::{self, Admin};
use doorward::app::{App, End, Facts, Program, Signals, accounts, doctor, init, reset, restore};
use doorward::config::cli::{Cli, Command, Flags, HomeAssistant};
use doorward::config::{Camera, Config, Faults, LogFormat, Sources, load};
use doorward::journal;
use doorward::logic::accounts::Pairing;
use doorward::logic::qr;
use doorward::supervisor::Supervisor;
use doorward::tls;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Trying again does not help: a supervisor shall not. The number is EX_CONFIG of sysexits.h.
const CONFIG_FAULT: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command();
    let mut sources = Sources::of_process(cli.flags.clone());
    if let Command::App(home) = &command {
        sources.options = Some(home.options.clone());
    }
    if cli.factory_reset && cli.command.is_some() {
        return fail("--factory-reset stands alone: it is no way of running another command.");
    }
    match (command, load(&sources)) {
        (_, Ok(config)) if cli.factory_reset => told(reset::factory_reset(&config, cli.yes, say)),
        // What is configured now need not be good for a first file to be written.
        (Command::Init { file }, Err(_)) => first_file(&file, &cli.flags),
        (_, Err(faults)) => fail_config(&faults),
        (command, Ok(config)) => carry_out(command, config),
    }
}

fn carry_out(command: Command, config: Config) -> ExitCode {
    match command {
        Command::Init { file } => first_file(&file, &config.origin.sources.flags),
        Command::CheckConfig => {
            say("The configuration is good.\n");
            ExitCode::SUCCESS
        }
        Command::Health => match doorward::app::probe(config.http.bind) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => fail(&problem),
        },
        Command::Faces(command) => told(client::faces(&config, command, say)),
        Command::Why { camera, from, to } => {
            let question = [("camera", camera), ("from", from), ("to", to)];
            told(client::why(&config, question).map(|answer| say(&answer)))
        }
        Command::Events(command) => told(client::events(&config, command).map(|text| say(&text))),
        Command::Audit(command) => told(client::audit(&config, command).map(|text| say(&text))),
        Command::Notify(command) => told(client::notify(&config, command, say)),
        Command::Config(command) => admin(&config, Admin::Configure(command)),
        Command::Logs { lines, level } => admin(&config, Admin::Logs { lines, level }),
        Command::Backup { events } => admin(&config, Admin::Backup { events }),
        Command::Restart => admin(&config, Admin::Restart),
        Command::Restore { file, force } => told(restore(&config, &file, force).map(|text| say(&text))),
        Command::User(command) => match accounts::user(&config, command, say) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => fail("That is not the password of this user."),
            Err(error) => fail(&format!("{error:#}")),
        },
        Command::Token(command) => told(accounts::token(&config, command).map(|text| say(&text))),
        Command::Pair { qr } => told(accounts::pair(&config, qr).map(|text| say(&text))),
        Command::Doctor => match doctor::doctor(&config, say) {
            Ok(0) => ExitCode::SUCCESS,
            Ok(faults) => fail(&format!("{faults} faults were found.")),
            Err(error) => fail(&format!("{error:#}")),
        },
        Command::Uninstall => told(doctor::uninstall(&config, say)),
        Command::Eval(task) => {
            match doorward::vision::eval::run(
                &task,
                &config.faces,
                &mut std::io::stdout(),
                &mut std::io::stderr(),
            ) {
                Ok(()) => ExitCode::SUCCESS,
                Err(sentence) => fail(&sentence),
            }
        }
        Command::Run => run(&config),
        Command::Demo => run(&Config { cameras: vec![Camera::demo()], ..config }),
        Command::App(home) => run_app(&config, home),
    }
}

/// Asks the Supervisor for what the configuration leaves open, and runs with that.
fn run_app(config: &Config, home: HomeAssistant) -> ExitCode {
    log(config);
    let mut sources = config.origin.sources.clone();
    let supervisor = Supervisor {
        url: home.supervisor,
        token: std::env::var("SUPERVISOR_TOKEN").unwrap_or_default(),
        patience: Duration::from_secs(home.wait),
        host_name: sources.host_name.clone(),
    };
    sources.found = supervisor.ask(config);
    match load(&sources) {
        Ok(config) => start(&config),
        Err(faults) => fail_config(&faults),
    }
}

fn first_file(file: &Path, flags: &Flags) -> ExitCode {
    told(init(file, flags).map(|text| say(&text)))
}

fn admin(config: &Config, command: Admin) -> ExitCode {
    told(client::admin(config, command).map(|text| say(&text)))
}

fn told(outcome: anyhow::Result<()>) -> ExitCode {
    outcome.map_or_else(|error| fail(&format!("{error:#}")), |()| ExitCode::SUCCESS)
}

fn run(config: &Config) -> ExitCode {
    log(config);
    start(config)
}

fn start(config: &Config) -> ExitCode {
    let (signals, program) = match (Signals::listen(), Program::of_process()) {
        (Ok(signals), Ok(program)) => (signals, program),
        (Err(error), _) | (_, Err(error)) => {
            return fail(&format!("the system tells neither signals nor where the program is: {error}"));
        }
    };
    let app = match App::start(config) {
        Ok(app) => app,
        Err(error) => return fail(&format!("{error:#}")),
    };
    say(&banner(app.facts()));
    let end = app.wait(&signals);
    let clean = app.stop();
    match end {
        // Whoever wants an end meanwhile gets one.
        End::Again if !signals.is_heard() => {
            let error = program.begin_again();
            fail(&format!("{} cannot be started again: {error}", program.path().display()))
        }
        End::Asked | End::Again if clean => ExitCode::SUCCESS,
        End::Asked | End::Again | End::Failed => ExitCode::FAILURE,
    }
}

fn log(config: &Config) {
    // The broker's router speaks of every connection; what matters of it we say ourselves.
    let filter = EnvFilter::new(format!("{},rumqttd=off", config.log.filter));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let all = tracing_subscriber::registry().with(filter).with(journal::layer());
    match config.log.format {
        LogFormat::Text => all.with(lines).init(),
        LogFormat::Json => all.with(lines.json()).init(),
    }
}

/// What somebody needs who sees the appliance for the first time. Passwords are shown once, at the first run; the pairing code as long
/// as there is no user.
fn banner(facts: &Facts) -> String {
    let Facts { url, base_topic, .. } = facts;
    let cameras: Vec<String> = facts.cameras.iter().map(|(id, source)| format!("{id} ({source})")).collect();
    let mut text = format!("\nDoorward is running.\n\n  Cameras   {}\n", cameras.join(", "));
    text += &match url.starts_with("homeassistant:") {
        true => "  Page      in Home Assistant's side bar\n".to_owned(),
        false => format!("  Page      {url}\n"),
    };
    if url.starts_with("https:") {
        let tls::Facts { fingerprint, is_self_signed, .. } = &facts.certificate;
        text += &format!("            {} on this machine\n", facts.local_url);
        if *is_self_signed {
            text += &format!(
                "            the browser warns of the certificate; it is ours if its SHA-256 is\n            {fingerprint}\n"
            );
        }
    }
    if let Some(pairing) = &facts.pairing {
        text += &invitation(url, pairing);
    }
    if let (Some(broker), Some((user, password))) = (facts.broker, &facts.broker_login) {
        text += &format!("  Broker    {broker}");
        if facts.first_run {
            text += &format!(", user {user}, password {}", password.expose());
            text += &format!(
                "\n\n  Watch it  mosquitto_sub -h {} -p {} -u {user} -P {} -t '{base_topic}/+/event/#' -v",
                broker.ip(),
                broker.port(),
                password.expose()
            );
        }
        text += "\n\n  Home Assistant: Settings > Devices & services > Add integration > MQTT, with the broker, user and password above";
        text += if broker.ip().is_loopback() {
            ".\n  From another machine: set broker.bind = \"0.0.0.0:1883\" first; the broker listens on this machine only.\n"
        } else {
            ".\n"
        };
    }
    if !facts.first_run && facts.broker.is_some() {
        text += "\n  The broker's passwords were shown at the first run; they stand in secrets.json in the data folder.\n";
    }
    text + &format!("  Faces     one folder a person in {}\n\n", facts.faces.display())
}

/// How the first user is made: the code, and a picture of it for a telephone. Behind the #, a browser sends it nowhere.
fn invitation(url: &str, pairing: &Pairing) -> String {
    let (code, until) = (pairing.code(), clock(pairing));
    let text = format!(
        "  First     open the page and make your account with the pairing code {code}, until {until}\n"
    );
    // Home Assistant's side bar is nothing that a telephone's camera could open.
    let address = Some(format!("{url}#code={code}")).filter(|_| url.starts_with("http"));
    match address.and_then(|address| qr::blocks(&address)) {
        Some(drawn) => {
            text + "            or point a telephone at this:\n\n  " + &drawn.replace('\n', "\n  ") + "\n\n"
        }
        None => text,
    }
}

/// The hour at which a code ends, as clocks here show it.
fn clock(pairing: &Pairing) -> String {
    pairing.until().to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M").to_string()
}

fn say(text: &str) {
    // Nobody listens any more if standard output is closed.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn fail_config(faults: &Faults) -> ExitCode {
    fail(&faults.to_string());
    ExitCode::from(CONFIG_FAULT)
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
