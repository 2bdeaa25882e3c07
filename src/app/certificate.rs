//! The certificate of page and broker: for which names, where it is kept, who looks after it, and who hears of it.
//!
//! Not here: what a certificate is ([`crate::tls`]).

use anyhow::anyhow;
use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::address;
use crate::audit;
use crate::config::{Config, Pair};
use crate::logic::audit::{Entry, Kind, Level};
use crate::shutdown::Shutdown;
use crate::tls::{Keeper, News, Source};

/// Reads the certificate or makes the first one.
pub(super) fn open(config: &Config) -> anyhow::Result<(Keeper, Vec<News>)> {
    let source = match &config.certificate {
        Some(Pair { cert_file, key_file }) => {
            Source::Given { cert_file: cert_file.clone(), key_file: key_file.clone() }
        }
        None => Source::Made { folder: config.data_dir.join("tls"), names: names(config) },
    };
    Keeper::open(source, Timestamp::now()).map_err(|why| anyhow!(why))
}

/// Everything by which this machine is called, as far as it knows itself.
fn names(config: &Config) -> Vec<String> {
    let full = config.origin.sources.host_name.to_ascii_lowercase();
    let short = full.split('.').next().unwrap_or_default().to_owned();
    let local = if short.is_empty() { String::new() } else { format!("{short}.local") };
    let url = config.http.url.as_deref().and_then(|url| url.parse::<reqwest::Url>().ok());
    let url = url.filter(|url| url.scheme() == "https");
    let of_url = url.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    let own = [address::own_address().to_string(), address::reachable(config.http.bind).ip().to_string()];
    let fixed = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    [short, full, local].into_iter().chain(fixed).chain(own).chain(of_url).collect()
}

/// Looks after it until the signal.
pub(super) fn watch(runtime: &Runtime, (keeper, news): (Keeper, Vec<News>), log: audit::Log, stop: Shutdown) {
    news.into_iter().for_each(|news| tell(&log, news));
    runtime.spawn(keeper.run(stop, move |news| tell(&log, news)));
}

fn tell(log: &audit::Log, News { text, is_warning }: News) {
    if is_warning {
        tracing::warn!("{text}");
    } else {
        tracing::info!("{text}");
    }
    log.note(Entry {
        ts: Timestamp::now(),
        level: if is_warning { Level::Warning } else { Level::Info },
        kind: Kind::System,
        alert: false,
        user: String::new(),
        address: String::new(),
        text,
    });
}
