//! `autocall gateway`: add, change, list, remove, inbox.

use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::cli::{engine, labels};
use crate::config::Config;
use crate::engine::Doer;
use crate::keep::lines::gateways::{self, InboundChange, NewGateway, inbound_path};
use crate::kinds::form::Typed;
use crate::kinds::gateways::{GatewayKind, host, webhooks};
use crate::kinds::guard::{GuardedResolver, check_url};
use crate::line::reply::TextEffect;
use crate::net::unanswered;
use crate::out::notices::client;
use crate::versions::Expected;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum GatewayCommand {
    /// Make known how text messages are sent; prints where it reports received ones, once
    Add {
        /// What people call it
        #[arg(long)]
        name: String,
        /// What it is
        #[arg(long, value_parser = kinds())]
        kind: GatewayKind,
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

/// Which kinds there are, and what each is.
fn kinds() -> impl TypedValueParser<Value = GatewayKind> {
    let words = GatewayKind::ALL.iter().map(|kind| PossibleValue::new(kind.as_str()).help(kind.options()));
    PossibleValuesParser::new(words).try_map(|word| GatewayKind::read(&word).ok_or("there is no such kind"))
}

/// What was given, as a form has it; what was not given is not in it.
fn typed<const N: usize>(given: [(&str, Option<String>); N]) -> Typed {
    let fields = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Typed { fields: fields.collect(), gone: Vec::new() }
}

/// Headers as a form has them; `None` when there are none.
fn lines(headers: &[(String, String)]) -> Option<String> {
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
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
            let given = typed([
                ("url", Some(url)),
                ("user", Some(user)),
                ("secret", secret),
                ("rsa_public_key", rsa_public_key),
                ("sm4_key", sm4_key),
                ("sim", sim.map(|sim| sim.to_string())),
                ("method", Some(method)),
                ("headers", lines(&headers)),
                ("body", Some(body)),
                ("handset", Some(handset)),
                ("from", Some(from)),
                ("device", device),
                ("token", token),
            ]);
            let settings = kind.settings(&given, None)?;
            let new = NewGateway { name, settings, inbound: InboundChange { zone, signing_secret } };
            let mut work = engine.work(Doer::CommandLine).await?;
            let (_, token) = gateways::add(&mut work, config, new).await?;
            work.commit().await?;
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
            device,
            token,
            zone,
            signing_secret,
        } => {
            let old = gateways::find(&mut engine.store.read().await?.db(), &gateway).await?;
            let given = typed([
                ("url", url),
                ("user", user),
                ("secret", secret),
                ("rsa_public_key", rsa_public_key),
                ("sm4_key", sm4_key),
                ("sim", sim.map(|sim| sim.to_string())),
                ("method", method),
                ("headers", lines(&headers)),
                ("body", body),
                ("from", from),
                ("device", device),
                ("token", token),
            ]);
            let settings = GatewayKind::of(&old.settings).settings(&given, Some(&old.settings))?;
            let inbound = InboundChange { zone, signing_secret };
            let new = NewGateway { name: name.unwrap_or(old.name), settings, inbound };
            let mut work = engine.work(Doer::CommandLine).await?;
            let changed = gateways::change(&mut work, config, &engine.links, &gateway, new, &Expected::Anything).await?;
            work.commit().await?;
            println!("{} is changed", changed.name);
        }
        GatewayCommand::List => {
            for gateway in engine.store.read().await?.db().gateways().await? {
                println!("{}\t{}\t{}", gateway.name, GatewayKind::of(&gateway.settings).as_str(), host(&gateway.settings));
            }
        }
        GatewayCommand::Webhooks { gateway, address, dry_run } => {
            let gateway = gateways::find(&mut engine.store.read().await?.db(), &gateway).await?;
            let guard = GuardedResolver::for_gateways(&config.sms.allow_networks);
            let client = client(&guard)?;
            for request in webhooks(&gateway.settings, &address)? {
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
            let id = engine.send_test_text(&gateway, &number, Doer::CommandLine).await?;
            let state = gateways::tried(&engine.store, id).await?;
            let why = state.last_result.clone().unwrap_or_default();
            match gateways::state_of(&state) {
                "waiting" => {
                    anyhow::bail!("nobody has sent it yet: does the server run, and if a handset is the gateway, does it poll?")
                }
                state @ ("sent" | "delivered") => println!("{state}: {why}"),
                state => anyhow::bail!("{state}: {why}"),
            }
        }
        GatewayCommand::Remove { name } => {
            let mut work = engine.work(Doer::CommandLine).await?;
            gateways::remove(&mut work, &engine.links, &name, &Expected::Anything).await?;
            work.commit().await?;
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
