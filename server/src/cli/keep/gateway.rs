//! `autocall gateway`: add, change, list, remove, inbox.

use clap::{Subcommand, ValueEnum};

use crate::api::lines::{kind_of, state_of, wait_for_test};
use crate::cli::{engine, labels};
use crate::config::Config;
use crate::engine::lines::gateways::InboundChange;
use crate::engine::lines::gateways::inbound_path;
use crate::kinds::gateways;
use crate::kinds::guard::{GuardedResolver, check_url};
use crate::line::reply::TextEffect;
use crate::net::unanswered;
use crate::out::notices::client;
use crate::store::lines::sms::GatewaySettings;
use crate::versions::Expected;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum KindArg {
    /// SMSGate (android-sms-gateway): --url, --user, --secret (its password), --sim
    Smsgate,
    /// SmsForwarder: --url, --sim, and for its safety measure one of --secret, --rsa-public-key, --sm4-key
    Smsforwarder,
    /// httpSMS: --url, --secret (its API key), --from
    Httpsms,
    /// textbee: --url, --secret (its API key)
    Textbee,
    /// Anything that takes an HTTP request: --url, --method, --header, --body, --secret
    Http,
    /// One of our own native handsets: --handset
    Handset,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum GatewayCommand {
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
        /// The public key of SmsForwarder, where its safety measure is RSA
        #[arg(long, env = "GATEWAY_RSA_PUBLIC_KEY", hide_env_values = true)]
        rsa_public_key: Option<String>,
        /// The key of SmsForwarder, where its safety measure is SM4: 32 hexadecimal digits
        #[arg(long, env = "GATEWAY_SM4_KEY", hide_env_values = true)]
        sm4_key: Option<String>,
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
        /// The number of the phone that sends
        #[arg(long, default_value = "")]
        from: String,
        /// Which of the account's phones, in the cloud of SMSGate
        #[arg(long)]
        device: Option<String>,
        /// A token of SMSGate, instead of user and password
        #[arg(long, env = "GATEWAY_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// The time zone of times that it tells without one, such as Asia/Shanghai
        #[arg(long)]
        zone: Option<String>,
        /// What it signs its reports with; what is not signed is refused
        #[arg(long, env = "GATEWAY_SIGNING_SECRET", hide_env_values = true)]
        signing_secret: Option<String>,
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
        /// The public key of SmsForwarder, where its safety measure is RSA
        #[arg(long, env = "GATEWAY_RSA_PUBLIC_KEY", hide_env_values = true)]
        rsa_public_key: Option<String>,
        /// The key of SmsForwarder, where its safety measure is SM4: 32 hexadecimal digits
        #[arg(long, env = "GATEWAY_SM4_KEY", hide_env_values = true)]
        sm4_key: Option<String>,
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
        /// The number of the phone that sends
        #[arg(long)]
        from: Option<String>,
        /// Which of the account's phones, in the cloud of SMSGate
        #[arg(long)]
        device: Option<String>,
        /// A token of SMSGate, instead of user and password
        #[arg(long, env = "GATEWAY_TOKEN", hide_env_values = true)]
        token: Option<String>,
        /// The time zone of times that it tells without one; empty: that of the configuration
        #[arg(long)]
        zone: Option<String>,
        /// What it signs its reports with; empty: nothing
        #[arg(long, env = "GATEWAY_SIGNING_SECRET", hide_env_values = true)]
        signing_secret: Option<String>,
    },
    /// Let SMSGate report here: registers one webhook for each of its events, at the phone or in the cloud
    Webhooks {
        /// The gateway's name
        gateway: String,
        /// This server as the phone reaches it, and the path that was shown when the gateway was made
        #[arg(long)]
        address: String,
        /// Only print what would be asked, as curl commands
        #[arg(long)]
        dry_run: bool,
    },
    /// Send a test message through a gateway, and say what came of it
    Test {
        /// The gateway's name
        gateway: String,
        /// Whose phone is to get it
        number: String,
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

/// Where the cloud of httpSMS takes messages.
const HTTPSMS: &str = "https://api.httpsms.com/v1/messages/send";

fn or(given: String, usual: &str) -> String {
    if given.is_empty() { usual.to_owned() } else { given }
}

pub(in crate::cli) async fn run(command: GatewayCommand, config: &Config) -> anyhow::Result<()> {
    let engine = engine(config).await?;
    match command {
        GatewayCommand::Add {
            name,
            kind,
            url,
            user,
            secret,
            rsa_public_key,
            sm4_key,
            sim,
            method,
            headers,
            body,
            handset,
            from,
            device,
            token,
            zone,
            signing_secret,
        } => {
            let settings = match kind {
                KindArg::Smsgate => {
                    GatewaySettings::Smsgate { url, user, password: secret.unwrap_or_default(), sim, device, token }
                }
                KindArg::Httpsms => GatewaySettings::Httpsms { url: or(url, HTTPSMS), key: secret.unwrap_or_default(), from },
                KindArg::Textbee => GatewaySettings::Textbee { url, key: secret.unwrap_or_default() },
                KindArg::Smsforwarder => {
                    GatewaySettings::Smsforwarder { url, secret, rsa_public_key, sm4_key, sim: sim.unwrap_or(1) }
                }
                KindArg::Http => GatewaySettings::Http { method, url, headers: headers.into_iter().collect(), body, secret },
                KindArg::Handset => GatewaySettings::Handset { handset },
            };
            let (_, token) = engine.add_gateway(&name, settings, InboundChange { zone, signing_secret }).await?;
            println!("{}", inbound_path(&token));
            eprintln!("This path is shown only once. Let the phone post received messages there, if replies shall count.");
        }
        GatewayCommand::Change {
            gateway,
            name,
            url,
            user,
            secret,
            rsa_public_key,
            sm4_key,
            sim,
            method,
            headers,
            body,
            from,
            device: new_device,
            token: new_token,
            zone,
            signing_secret,
        } => {
            let old = engine.gateway(&gateway).await?;
            let settings = match old.settings.0 {
                GatewaySettings::Smsgate { url: old_url, user: old_user, password, sim: card, device, token } => {
                    GatewaySettings::Smsgate {
                        url: url.unwrap_or(old_url),
                        user: user.unwrap_or(old_user),
                        password: secret.unwrap_or(password),
                        sim: sim.or(card),
                        device: new_device.or(device),
                        token: new_token.or(token),
                    }
                }
                GatewaySettings::Httpsms { url: old_url, key, from: old_from } => GatewaySettings::Httpsms {
                    url: url.unwrap_or(old_url),
                    key: secret.unwrap_or(key),
                    from: from.unwrap_or(old_from),
                },
                GatewaySettings::Textbee { url: old_url, key } => {
                    GatewaySettings::Textbee { url: url.unwrap_or(old_url), key: secret.unwrap_or(key) }
                }
                GatewaySettings::Smsforwarder { url: old_url, sim: card, secret: signs, rsa_public_key: rsa, sm4_key: sm4 } => {
                    // The app has one safety measure: one that is given here takes the place of the other.
                    let (secret, rsa_public_key, sm4_key) = match (secret, rsa_public_key, sm4_key) {
                        (None, None, None) => (signs, rsa, sm4),
                        given => given,
                    };
                    let (url, sim) = (url.unwrap_or(old_url), sim.unwrap_or(card));
                    GatewaySettings::Smsforwarder { url, secret, rsa_public_key, sm4_key, sim }
                }
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
            let inbound = InboundChange { zone, signing_secret };
            let changed = engine
                .change_gateway(&gateway, name.as_deref().unwrap_or(&old.name), settings, inbound, &Expected::Anything)
                .await?;
            println!("{} is changed", changed.name);
        }
        GatewayCommand::List => {
            for gateway in engine.store.read().await?.db().gateways().await? {
                println!("{}\t{}\t{}", gateway.name, kind_of(&gateway.settings), gateways::host(&gateway.settings));
            }
        }
        GatewayCommand::Webhooks { gateway, address, dry_run } => {
            let gateway = engine.gateway(&gateway).await?;
            let guard = GuardedResolver::for_gateways(&config.sms.allow_networks);
            let client = client(&guard)?;
            for request in gateways::webhooks(&gateway.settings, &address)? {
                if dry_run {
                    // Without the login: this may stand in a terminal for long.
                    println!("curl -u USER:PASSWORD -H 'content-type: application/json' -d '{}' {}", request.body, request.url);
                    continue;
                }
                let mut asking = client.request(request.method, check_url(&request.url, &guard)?).body(request.body.clone());
                for (name, value) in request.headers {
                    asking = asking.header(name, value);
                }
                let status = asking
                    .send()
                    .await
                    .map_err(|error| anyhow::anyhow!("SMSGate cannot be asked: {}", unanswered::why(error)))?
                    .status();
                anyhow::ensure!(
                    status.is_success(),
                    "SMSGate answered {status}: are address, user and password of the gateway right?"
                );
                println!("registered: {}", request.body);
            }
        }
        GatewayCommand::Test { gateway, number } => {
            let id = engine.send_test_text(&gateway, &number).await?;
            let state = wait_for_test(&engine.store, id).await?;
            let why = state.last_result.clone().unwrap_or_default();
            match state_of(&state) {
                "waiting" => {
                    anyhow::bail!("nobody has sent it yet: does the server run, and if a handset is the gateway, does it poll?")
                }
                state @ ("sent" | "delivered") => println!("{state}: {why}"),
                state => anyhow::bail!("{state}: {why}"),
            }
        }
        GatewayCommand::Remove { name } => {
            engine.remove_gateway(&name, &Expected::Anything).await?;
            println!("{name} is used no more");
        }
        GatewayCommand::Inbox { limit } => {
            for sms in engine.store.read().await?.db().latest_inbound(limit.clamp(1, 1000)).await? {
                let (at, effect) = (sms.received_at.format("%F %T"), sms.effect.map_or("", TextEffect::as_str));
                println!("{at}\t{}\t{}\t{effect}\t{:?}", sms.sender, sms.reply, sms.text);
            }
        }
    }
    engine.store.close().await;
    Ok(())
}
