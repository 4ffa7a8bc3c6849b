//! Pairing: making a handset known, its token, and the address to type on the phone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::audit::{Line, Operation};
use crate::config::{Config, HandsetConfig};
use crate::ids::HandsetId;
use crate::kinds::gateways::GatewaySettings;
use crate::secrets;
use crate::store::watch::handsets::{HandsetRow, IdleForm, MOST_CHANNELS, NewHandset, Profile};
use crate::store::{Announcement, Store, StoreError, Work};
use crate::visible;
use serde_json::{Value, json};

/// 32 letters to the power of 12 are 60 bits; wrong ones are limited to 20 in ten minutes for each address.
const TOKEN_LENGTH: usize = 12;
const LONGEST_NAME: usize = 60;
const ADDRESS_FILE: &str = "server.address";

/// Model names longer than this are cut: they are what the phone says of itself.
const LONGEST_MODEL: usize = 40;

/// Why a handset was not paired or changed.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The name is empty, too long, or garbled.
    #[error("a handset's name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is one of that name.
    #[error("there is a handset {0:?} already: choose another name")]
    NameTaken(String),
    /// There is none of that name.
    #[error("there is no handset {0:?}: `autocall handset list` shows them")]
    NoSuchHandset(String),
    /// A phone on the plain path has no token.
    #[error("the handset {0:?} has no token: it polls the plain path")]
    NoToken(String),
    /// No handset holds so many calls at once, or none.
    #[error("a handset holds 1 to {MOST_CHANNELS} calls at once")]
    BadChannels,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a new handset is to be.
#[derive(Clone, Debug)]
pub struct Pairing {
    /// What people call it.
    pub name: String,
    /// What it can be given.
    pub profile: Profile,
    /// How it is told that there is nothing to do.
    pub idle_form: IdleForm,
    /// The country of its SIM.
    pub country: String,
    /// Longest time a call rings, in seconds.
    pub ring_seconds: i32,
}

impl Pairing {
    /// A handset as the configuration has them.
    #[must_use]
    pub fn new(name: &str, settings: &HandsetConfig) -> Self {
        Self {
            name: name.trim().to_owned(),
            profile: settings.profile.into(),
            idle_form: settings.idle_form.into(),
            country: settings.country.as_str().to_owned(),
            ring_seconds: i32::try_from(settings.ring.as_secs()).unwrap_or(i32::MAX),
        }
    }
}

/// A new random token. It is shown once and stored hashed.
#[must_use]
pub fn new_token() -> String {
    secrets::typed::<TOKEN_LENGTH>()
}

/// Makes a handset known and gives its token.
///
/// # Errors
/// When the name is bad or taken, or the database fails.
pub async fn add(work: &mut Work, pairing: &Pairing) -> Result<String, PairingError> {
    let token = new_token();
    insert(work, pairing, Some(token_hash(&token).to_vec()), None).await?;
    Ok(token)
}

/// Makes known what stands in for a phone in the tests of a monitor, and gives its token.
///
/// # Errors
/// When the name is bad or taken, or the database fails.
pub(in crate::keep) async fn add_monitor(work: &mut Work, name: &str, settings: &HandsetConfig) -> Result<String, PairingError> {
    let token = new_token();
    let pairing = Pairing { profile: Profile::Native, idle_form: IdleForm::Plain, ..Pairing::new(name, settings) };
    let new = new_handset(&pairing, Some(token_hash(&token).to_vec()), None, work.now());
    add_new(work, NewHandset { monitor: true, ..new }).await?;
    Ok(token)
}

/// Lets a phone poll the plain path from an address outside the open networks.
///
/// # Errors
/// When the name is bad or taken, or the database fails.
pub async fn allow(work: &mut Work, pairing: &Pairing, address: IpAddr, model: &str) -> Result<(), PairingError> {
    insert(work, pairing, None, Some(plain_key(address, model))).await?;
    Ok(work.db().forget_knocks_of(&address.to_string()).await?)
}

async fn insert(
    work: &mut Work,
    pairing: &Pairing,
    token_hash: Option<Vec<u8>>,
    plain_key: Option<String>,
) -> Result<(), PairingError> {
    let new = new_handset(pairing, token_hash, plain_key, work.now());
    add_new(work, new).await
}

fn new_handset(pairing: &Pairing, token_hash: Option<Vec<u8>>, plain_key: Option<String>, now: DateTime<Utc>) -> NewHandset {
    NewHandset {
        id: HandsetId::new(now),
        name: pairing.name.clone(),
        token_hash,
        allowed_at: plain_key.is_some().then_some(now),
        plain_key,
        profile: pairing.profile,
        idle_form: pairing.idle_form,
        country: pairing.country.clone(),
        ring_seconds: pairing.ring_seconds,
        created_at: now,
        monitor: false,
    }
}

async fn add_new(work: &mut Work, handset: NewHandset) -> Result<(), PairingError> {
    check_name(&handset.name)?;
    if !work.db().insert_handset(&handset).await? {
        return Err(PairingError::NameTaken(handset.name));
    }
    let mut after =
        json!({ "country": handset.country, "by_token": handset.token_hash.is_some(), "ring_seconds": handset.ring_seconds });
    if handset.monitor {
        after["monitor"] = true.into();
    }
    work.note(Line::new(Operation::HandsetAdded).of(handset.id).named(handset.name.as_str()).after(after));
    work.announce(Announcement::Handsets);
    Ok(())
}

/// Gives a handset a new token. The old one is good until the phone has polled with the new one, unless it is refused at once.
///
/// # Errors
/// When there is no such handset, it has no token, or the database fails.
pub async fn rotate(work: &mut Work, name: &str, at_once: bool) -> Result<String, PairingError> {
    let token = new_token();
    if work.db().handset_by_name(name).await?.is_none() {
        return Err(PairingError::NoSuchHandset(name.to_owned()));
    }
    if !work.db().set_next_token(name, &token_hash(&token)).await? {
        return Err(PairingError::NoToken(name.to_owned()));
    }
    if at_once {
        work.db().take_next_token(&token_hash(&token)).await?;
    }
    note(work, Operation::HandsetRotated, name, json!({ "at_once": at_once })).await?;
    work.announce(Announcement::Handsets);
    Ok(token)
}

/// Gives a handset another name.
///
/// # Errors
/// When there is no such handset, the name is bad or taken, or the database fails.
pub async fn rename(work: &mut Work, name: &str, new_name: &str) -> Result<(), PairingError> {
    check_name(new_name)?;
    match work.db().rename_handset(name, new_name.trim()).await {
        Ok(true) => {}
        Ok(false) => return Err(PairingError::NoSuchHandset(name.to_owned())),
        Err(error) if error.is_unique_violation() => return Err(PairingError::NameTaken(new_name.to_owned())),
        Err(error) => return Err(error.into()),
    }
    // A gateway that is this handset knows it by its name.
    for mut gateway in work.db().gateways().await? {
        if let GatewaySettings::Handset(own) = &mut gateway.settings.0
            && own.handset == name
        {
            new_name.trim().clone_into(&mut own.handset);
            work.db().change_gateway(&gateway).await?;
        }
    }
    note(work, Operation::HandsetRenamed, new_name.trim(), json!({ "was": name })).await?;
    work.announce(Announcement::Handsets);
    Ok(())
}

/// Allows a handset so many calls at once; it holds no more than it says that it can. Calls that run go on.
///
/// # Errors
/// When there is no such handset, none may hold so many, or the database fails.
pub async fn set_channels(work: &mut Work, name: &str, channels: i32) -> Result<(), PairingError> {
    if !(1..=MOST_CHANNELS).contains(&channels) {
        return Err(PairingError::BadChannels);
    }
    if !work.db().set_handset_channels(name, channels).await? {
        return Err(PairingError::NoSuchHandset(name.to_owned()));
    }
    note(work, Operation::HandsetChanged, name, json!({ "channels": channels })).await?;
    work.announce(Announcement::Handsets);
    Ok(())
}

/// Lets calls that come in on a handset be taken, or not.
///
/// # Errors
/// When there is no such handset, or the database fails.
pub async fn set_inbound(work: &mut Work, name: &str, inbound: bool) -> Result<(), PairingError> {
    if !work.db().set_handset_inbound(name, inbound).await? {
        return Err(PairingError::NoSuchHandset(name.to_owned()));
    }
    note(work, Operation::HandsetChanged, name, json!({ "inbound": inbound })).await?;
    work.announce(Announcement::Handsets);
    Ok(())
}

/// Lets shouts take all channels of a handset, or not.
///
/// # Errors
/// When there is no such handset, or the database fails.
pub async fn set_bulk(work: &mut Work, name: &str, bulk: bool) -> Result<(), PairingError> {
    if !work.db().set_handset_bulk(name, bulk).await? {
        return Err(PairingError::NoSuchHandset(name.to_owned()));
    }
    note(work, Operation::HandsetChanged, name, json!({ "bulk": bulk })).await?;
    work.announce(Announcement::Handsets);
    Ok(())
}

/// Gives a handset nothing new from now on, or lets it be given something again. What it already holds it may finish.
///
/// # Errors
/// When there is no such handset, or the database fails.
pub async fn set_disabled(work: &mut Work, name: &str, disabled: bool) -> Result<(), PairingError> {
    let now = work.now();
    if work.db().handset_by_name(name).await?.is_none() {
        return Err(PairingError::NoSuchHandset(name.to_owned()));
    }
    match disabled {
        true => work.db().disable_handset(name, now).await?,
        false => work.db().enable_handset(name).await?,
    };
    let operation = if disabled { Operation::HandsetDisabled } else { Operation::HandsetEnabled };
    note(work, operation, name, Value::Null).await?;
    work.announce(Announcement::Handsets);
    Ok(())
}

/// Removes a handset. No phone is let in with its token or from its address any more, but what it holds it may still report; what
/// it rang is told under its name and when it was removed. Its name is free for another.
///
/// # Errors
/// When there is no such handset, or the database fails.
pub async fn remove(work: &mut Work, name: &str) -> Result<(), PairingError> {
    let now = work.now();
    // To the second: nobody pairs and removes two of one name within one.
    let last_name = format!("{name} †{}", now.format("%F %T"));
    note(work, Operation::HandsetRemoved, name, Value::Null).await?;
    if !work.db().remove_handset(name, &last_name, now).await? {
        return Err(PairingError::NoSuchHandset(name.to_owned()));
    }
    work.announce(Announcement::Handsets);
    Ok(())
}

/// Notes what was done with the handset of a name, and what is so since.
async fn note(work: &mut Work, operation: Operation, name: &str, after: Value) -> Result<(), StoreError> {
    let id = work.db().handset_by_name(name).await?.map(|handset| handset.id);
    let line = Line::new(operation).named(name);
    let line = match id {
        Some(id) => line.of(id),
        None => line,
    };
    work.note(if after.is_null() { line } else { line.after(after) });
    Ok(())
}

/// The handset of that name.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn find(store: &Store, name: &str) -> Result<HandsetRow, PairingError> {
    let handset = store.read().await?.db().handset_by_name(name).await?;
    handset.ok_or_else(|| PairingError::NoSuchHandset(name.to_owned()))
}

/// Notes where the server listens, for commands beside it.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write_address(data_dir: &Path, address: SocketAddr) -> std::io::Result<()> {
    std::fs::create_dir_all(data_dir)?;
    std::fs::write(data_dir.join(ADDRESS_FILE), address.to_string())
}

/// Where the server on this folder listens, or listened last; else what the configuration says.
#[must_use]
pub fn server_address(config: &Config) -> SocketAddr {
    let written = std::fs::read_to_string(config.data_dir.join(ADDRESS_FILE)).ok();
    written.and_then(|text| text.trim().parse().ok()).unwrap_or(config.listen)
}

/// The address to type on the phone. The app takes no domain names, so this is the address of this machine in its network.
#[must_use]
pub fn phone_url(listen: SocketAddr, token: &str) -> String {
    page_url(listen, &phone_path(token))
}

/// Its path.
#[must_use]
pub fn phone_path(token: &str) -> String {
    format!("/h/{token}/alert/phone")
}

/// The address of a path of this server, as others in its network reach it.
#[must_use]
pub fn page_url(listen: SocketAddr, path: &str) -> String {
    let address = if listen.ip().is_unspecified() { lan_address() } else { listen.ip() };
    format!("http://{}{path}", SocketAddr::new(address, listen.port()))
}

/// The address from which this machine would reach others; loopback when it has no network.
fn lan_address() -> IpAddr {
    // Connecting a UDP socket sends nothing: it only asks the system which way it would go. 192.0.2.1 is a documentation
    // address (RFC 5737), which stands for "anywhere outside".
    let route = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    route.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

fn check_name(name: &str) -> Result<(), PairingError> {
    let name = visible::shown(name);
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(PairingError::BadName);
    }
    Ok(())
}

/// What identifies a phone on the plain path: where it polls from, and what model it says it is.
#[must_use]
pub fn plain_key(address: IpAddr, model: &str) -> String {
    let model: String = model.chars().filter(|c| !c.is_control()).take(LONGEST_MODEL).collect();
    format!("{address} {model}").trim_end().to_owned()
}

/// SHA-256 of a token: what is stored. Tokens are random, so they need no salt; and comparing hashes tells nobody how much of a
/// guess was right.
#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    secrets::hash(token)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn tokens_are_easy_to_type_and_never_the_same() {
        let tokens: std::collections::HashSet<String> = (0..1000).map(|_| new_token()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(
            tokens.iter().all(|token| token.len() == TOKEN_LENGTH && token.bytes().all(|byte| secrets::TYPED.contains(&byte)))
        );
    }

    #[test]
    fn the_address_is_an_ip_address() {
        assert_eq!(phone_url("192.168.1.8:8080".parse().unwrap(), "t"), "http://192.168.1.8:8080/h/t/alert/phone");
        let any = phone_url("0.0.0.0:8080".parse().unwrap(), "t");
        let host = any.strip_prefix("http://").unwrap().split('/').next().unwrap();
        assert!(!host.parse::<SocketAddr>().unwrap().ip().is_unspecified(), "{any}");
    }
}
