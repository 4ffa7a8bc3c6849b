//! `autocall gateway`: add, change, list, remove, inbox.

use clap::{Subcommand, ValueEnum};

use super::{engine, labels};
use crate::config::Config;
use crate::intake::lines::{inbound_path, kind_of};
use crate::outbound::gateways;
use crate::store::sms::GatewaySettings;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum KindArg {
    /// SMSGate (android-sms-gateway): --url, --user, --secret (its password), --sim
    Smsgate,
    /// SmsForwarder: --url, --secret, --sim
    Smsforwarder,
    /// Anything that takes an HTTP request: --url, --method, --header, --body, --secret
    Http,
    /// One of our own native handsets: --handset
    Handset,
}

#[derive(Debug, Subcommand)]
pub(super) enum GatewayCommand {
    /// Make known how text messages are sent; prints where it reports received ones, once
    Add {
        /// What people call it
        #[arg(long)]
        name: String,
        /// What it is
        #[arg(long, value_enum)]
        kind: KindArg,
        /// Where messages are posted
        #[arg(long, default_value = "")]
        url: String,
        /// User of basic authentication
        #[arg(long, default_value = "")]
        user: String,
        /// Password, or what requests are signed with
        #[arg(long, env = "GATEWAY_SECRET", hide_env_values = true)]
        secret: Option<String>,
        /// Which SIM card
        #[arg(long)]
        sim: Option<u8>,
        /// GET, POST, PUT or PATCH
        #[arg(long, default_value = "POST")]
        method: String,
        /// A header, NAME=VALUE; may be given several times
        #[arg(long = "header", value_parser = labels::pair)]
        headers: Vec<(String, String)>,
        /// The body, with {number}, {text} and {id}
        #[arg(long, default_value = "")]
        body: String,
        /// The handset's name
        #[arg(long, default_value = "")]
        handset: String,
    },
    /// Change what is given here, and leave all else; messages that wait are sent the new way
    Change {
        /// The gateway's name
        gateway: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        /// Where messages are posted
        #[arg(long)]
        url: Option<String>,
        /// User of basic authentication
        #[arg(long)]
        user: Option<String>,
        /// Password, or what requests are signed with
        #[arg(long, env = "GATEWAY_SECRET", hide_env_values = true)]
        secret: Option<String>,
        /// Which SIM card
        #[arg(long)]
        sim: Option<u8>,
        /// GET, POST, PUT or PATCH
        #[arg(long)]
        method: Option<String>,
        /// A header, NAME=VALUE; may be given several times, and replaces all
        #[arg(long = "header", value_parser = labels::pair)]
        headers: Vec<(String, String)>,
        /// The body, with {number}, {text} and {id}
        #[arg(long)]
        body: Option<String>,
    },
    /// Print all gateways, without their secrets
    List,
    /// Use a gateway no more
    Remove {
        /// Its name
        name: String,
    },
    /// Print the latest text messages that came in
    Inbox {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: i64,
    },
}

pub(super) async fn run(command: GatewayCommand, config: &Config) -> anyhow::Result<()> {
    let engine = engine(config).await?;
    match command {
        GatewayCommand::Add { name, kind, url, user, secret, sim, method, headers, body, handset } => {
            let settings = match kind {
                KindArg::Smsgate => GatewaySettings::Smsgate { url, user, password: secret.unwrap_or_default(), sim },
                KindArg::Smsforwarder => GatewaySettings::Smsforwarder { url, secret, sim: sim.unwrap_or(1) },
                KindArg::Http => GatewaySettings::Http { method, url, headers: headers.into_iter().collect(), body, secret },
                KindArg::Handset => GatewaySettings::Handset { handset },
            };
            let (_, token) = engine.add_gateway(&name, settings).await?;
            println!("{}", inbound_path(&token));
            eprintln!("This path is shown only once. Let the phone post received messages there, if replies shall count.");
        }
        GatewayCommand::Change { gateway, name, url, user, secret, sim, method, headers, body } => {
            let old = engine.gateway(&gateway).await?;
            let settings = match old.settings.0 {
                GatewaySettings::Smsgate { url: old_url, user: old_user, password, sim: card } => GatewaySettings::Smsgate {
                    url: url.unwrap_or(old_url),
                    user: user.unwrap_or(old_user),
                    password: secret.unwrap_or(password),
                    sim: sim.or(card),
                },
                GatewaySettings::Smsforwarder { url: old_url, secret: old_secret, sim: card } => GatewaySettings::Smsforwarder {
                    url: url.unwrap_or(old_url),
                    secret: secret.or(old_secret),
                    sim: sim.unwrap_or(card),
                },
                GatewaySettings::Http {
                    method: old_method,
                    url: old_url,
                    headers: old_headers,
                    body: old_body,
                    secret: old_secret,
                } => GatewaySettings::Http {
                    method: method.unwrap_or(old_method),
                    url: url.unwrap_or(old_url),
                    headers: if headers.is_empty() { old_headers } else { headers.into_iter().collect() },
                    body: body.unwrap_or(old_body),
                    secret: secret.or(old_secret),
                },
                handset @ GatewaySettings::Handset { .. } => handset,
            };
            let changed = engine.change_gateway(&gateway, name.as_deref().unwrap_or(&old.name), settings).await?;
            println!("{} is changed", changed.name);
        }
        GatewayCommand::List => {
            for gateway in engine.store.read().await?.db().gateways().await? {
                println!("{}\t{}\t{}", gateway.name, kind_of(&gateway.settings), gateways::host(&gateway.settings));
            }
        }
        GatewayCommand::Remove { name } => {
            engine.remove_gateway(&name).await?;
            println!("{name} is used no more");
        }
        GatewayCommand::Inbox { limit } => {
            for sms in engine.store.read().await?.db().latest_inbound(limit.clamp(1, 1000)).await? {
                let (at, effect) = (sms.received_at.format("%F %T"), sms.effect.unwrap_or_default());
                println!("{at}\t{}\t{}\t{effect}\t{:?}", sms.sender, sms.reply, sms.text);
            }
        }
    }
    engine.store.close().await;
    Ok(())
}
