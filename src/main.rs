//! The program: reads its arguments and the configuration, runs the appliance, returns an exit code.
//!
//! Not here: everything else; see the library's map in `lib.rs`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use doorward::app::{App, Facts, client};
use doorward::config::cli::{Cli, Command};
use doorward::config::{Camera, Config, LogFormat, Sources, load};
use tracing_subscriber::EnvFilter;

/// Trying again does not help: a supervisor shall not. The number is EX_CONFIG of sysexits.h.
const CONFIG_FAULT: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command();
    let config = match load(&Sources::of_process(cli.flags)) {
        Ok(config) => config,
        Err(faults) => {
            fail(&faults.to_string());
            return ExitCode::from(CONFIG_FAULT);
        }
    };
    match command {
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
        Command::Notify(command) => told(client::notify(&config, command, say)),
        Command::Doctor => match doorward::app::doctor::doctor(&config, say) {
            Ok(0) => ExitCode::SUCCESS,
            Ok(faults) => fail(&format!("{faults} faults were found.")),
            Err(error) => fail(&format!("{error:#}")),
        },
        Command::Uninstall => told(doorward::app::doctor::uninstall(&config, say)),
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
    }
}

fn told(outcome: anyhow::Result<()>) -> ExitCode {
    outcome.map_or_else(|error| fail(&format!("{error:#}")), |()| ExitCode::SUCCESS)
}

fn run(config: &Config) -> ExitCode {
    log(config);
    let app = match App::start(config) {
        Ok(app) => app,
        Err(error) => return fail(&format!("{error:#}")),
    };
    say(&banner(app.facts()));
    let failed = app.wait();
    app.arm_second_signal();
    let clean = app.stop();
    if failed || !clean { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn log(config: &Config) {
    // The broker's router speaks of every connection; what matters of it we say ourselves.
    let filter = EnvFilter::new(format!("{},rumqttd=off", config.log.filter));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let builder = builder.with_target(false).with_ansi(std::io::stderr().is_terminal());
    match config.log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// What somebody needs who sees the appliance for the first time. Secrets are shown once, at the first run.
fn banner(facts: &Facts) -> String {
    let Facts { url, base_topic, .. } = facts;
    let cameras: Vec<String> = facts.cameras.iter().map(|(id, source)| format!("{id} ({source})")).collect();
    let mut text = format!("\nDoorward is running.\n\n  Cameras   {}\n", cameras.join(", "));
    let token = if facts.first_run { format!("?token={}", facts.token.expose()) } else { String::new() };
    text += &format!("  Page      {url}{token}\n");
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
    if !facts.first_run {
        text += "\n  Token and passwords were shown at the first run; they stand in secrets.json in the data folder.\n";
    }
    text + &format!("  Faces     one folder a person in {}\n\n", facts.faces.display())
}

fn say(text: &str) {
    // Nobody listens any more if standard output is closed.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
