//! Keys of senders: made and revoked; what they may ([`rights`]); how what they send is read, and whether it has to be signed.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::json;

use crate::audit::{Line, Operation};
use crate::call_log::reading::{self, Said};
use crate::ids::KeyId;
use crate::kinds::signing::{Scheme, Signing, WrongSecret};
use crate::numbers::{Number, NumberError, Region};
use crate::rights::{Bounds, Right, Rights};
use crate::secrets;
use crate::signal::generic::{Places, WrongPlace};
use crate::store::access::keys::{KeyRow, NewKey};
use crate::store::{Announcement, StoreError, Work};
use crate::versions::{Expected, Stale};

pub mod monitors;
pub mod rights;

/// Tells a key from other secrets, in a log or a search for leaked ones.
pub const PREFIX: &str = "ak_";
/// The same for what senders sign with.
const SECRET_PREFIX: &str = "ss_";
const LONGEST_NAME: usize = 60;

/// Why a key was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or garbled.
    #[error("a key's name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is one of that name, perhaps revoked.
    #[error("there is or was a key {0:?}: choose another name, so that its alarms are not mixed up with the old one's")]
    NameTaken(String),
    /// There is none of that name.
    #[error("there is no key {0:?} that could be revoked: `autocall key list` shows them")]
    NoSuchKey(String),
    /// Whom to ring cannot be rung.
    #[error("{0:?}: {1}")]
    BadNumber(String, NumberError),
    /// There is none of that name that is good.
    #[error("there is no key {0:?} that is good: `autocall key list` shows them")]
    Unknown(String),
    /// It does not list calls.
    #[error("the key {0:?} lists no calls: only keys that were made with --phonecalls are read by a zone and an area code")]
    ListsNoCalls(String),
    /// There are calls that were read by what is to be changed.
    #[error("calls that the key {0:?} listed are kept, and were read as it is now: with --reread they are read anew")]
    HasCalls(String),
    /// It commands no calls.
    #[error("the key {0:?} commands no calls: only keys that were made with --calls do")]
    CommandsNoCalls(String),
    /// A field of a foreign form stands nowhere.
    #[error(transparent)]
    Place(#[from] WrongPlace),
    /// Nobody can sign with that.
    #[error(transparent)]
    Secret(#[from] WrongSecret),
    /// Sentry gives its secret out, and takes none.
    #[error("Sentry makes its secret itself: give the client secret of its integration, by KEY_SECRET or --secret-file")]
    SecretIsSentrys,
    /// Somebody else has changed it since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// No certificate is called that.
    #[error("a certificate is named by 1 to 253 characters of a name in it, or by sha256: and the 64 digits of its fingerprint")]
    BadCertificate,
    /// It does nothing but list calls.
    #[error("the key {0:?} only lists calls: what it sends is neither placed nor signed")]
    OnlyListsCalls(String),
    /// It raises alarms by mail.
    #[error("the key {0:?} only raises alarms by mail: what it sends is neither placed nor signed")]
    OnlyMails(String),
    /// No number begins so.
    #[error(
        "{0:?} is no beginning of a number: write + and the digits behind it, such as +86, or several with commas between them"
    )]
    BadBeginning(String),
    /// That is no area code.
    #[error("{0:?} is no area code: write 1 to 8 digits, such as 0261")]
    BadAreaCode(String),
    /// Rights were given that do not go together.
    #[error("{0}")]
    BadRights(&'static str),
    /// It is bound to what is not there.
    #[error("there is no {kind} {name:?} to which a key could be bound")]
    NothingToBindTo {
        /// Which kind of thing.
        kind: &'static str,
        /// The name that was given.
        name: String,
    },
    /// A time does not lie ahead.
    #[error("{0} must lie ahead, by at most ten years")]
    NotAhead(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a new key may, of what, and for how long.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// Its rights; `None`: to raise alarms.
    pub rights: Option<Rights>,
    /// Which alarms it is bound to.
    pub bounds: Bounds,
    /// From when on it is no good; `None`: as long as it is not revoked.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// These rights, of everything, until it is revoked.
    #[must_use]
    pub fn of(rights: Rights) -> Self {
        Self { rights: Some(rights), ..Self::default() }
    }
}

/// Makes a key that raises alarms, and gives it: it is shown once.
///
/// # Errors
/// When the name is bad or taken, a number cannot be rung, or the database fails.
pub async fn add(work: &mut Work, name: &str, phones: &[String], region: Region) -> Result<String, KeyError> {
    add_granted(work, name, phones, Grant::default(), region).await
}

/// Makes a key that may list calls and nothing else, and gives it. It keeps the country and the zone of the installation where none was said:
/// were these to change later, each call that is told again would be another one.
///
/// # Errors
/// As [`add`], and when there is no such area code.
pub async fn add_for_calls(work: &mut Work, name: &str, said: &Said, own: (Region, Tz)) -> Result<String, KeyError> {
    if let Some(code) = said.area_code.as_deref().filter(|code| !reading::is_area_code(code)) {
        return Err(KeyError::BadAreaCode(code.to_owned()));
    }
    let rule = said.rule(own.0, own.1);
    let kept = Said { region: Some(rule.region.to_string()), zone: Some(rule.zone), ..said.clone() };
    insert(work, name, (&[], Grant::of(Rights::of([Right::Phonecalls])), Some(&kept))).await
}

/// Makes a key that may raise alarms by mail and nothing else, and gives it: it is the name of a recipient, which everybody reads on the way.
///
/// # Errors
/// As [`add`].
pub async fn add_for_mail(work: &mut Work, name: &str, phones: &[String], region: Region) -> Result<String, KeyError> {
    add_with(work, name, phones, &Rights::of([Right::Mail]), region).await
}

/// Says which numbers a key may call: those that begin with one of these, or `any`. Gives what it may then; `None` is any.
///
/// # Errors
/// When there is no such key, it commands no calls, no number begins so, or the database fails.
pub async fn may_call(work: &mut Work, name: &str, beginnings: &str) -> Result<Option<String>, KeyError> {
    let key = work.db().key_by_name(name).await?.ok_or_else(|| KeyError::Unknown(name.to_owned()))?;
    if !key.may(Right::Calls) {
        return Err(KeyError::CommandsNoCalls(name.to_owned()));
    }
    let may = match beginnings.trim() {
        "any" => None,
        all => {
            let each: Vec<&str> = all.split(',').map(str::trim).collect();
            let is_one = |one: &&str| {
                one.strip_prefix('+')
                    .is_some_and(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
            };
            if let Some(bad) = each.iter().find(|one| !is_one(one)) {
                return Err(KeyError::BadBeginning((*bad).to_owned()));
            }
            Some(each.join(","))
        }
    };
    work.db().set_rpc_may_call(key.id, may.as_deref()).await?;
    work.note(
        Line::new(Operation::KeyChanged).of(key.id).named(name).after(json!({ "may_call": may.as_deref().unwrap_or("any") })),
    );
    Ok(may)
}

/// Changes at which places the fields stand of what a key sends to the generic receiver; gives what is kept then.
///
/// # Errors
/// When there is no such key, a place is none, or the database fails.
pub async fn place(
    work: &mut Work,
    name: &str,
    change: impl FnOnce(&mut Places) -> Result<(), WrongPlace> + Send,
) -> Result<Places, KeyError> {
    let key = that_raises(work, name).await?;
    let mut places = key.places.map(|places| places.0).unwrap_or_default();
    let before = json!({ "places": places });
    change(&mut places)?;
    places.check()?;
    work.db().place_key(key.id, (!places.is_empty()).then_some(&places)).await?;
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name);
    work.note(line.before(before).after(json!({ "places": places })));
    work.announce(Announcement::Keys);
    Ok(places)
}

/// Says that what a key sends has to be signed from now on; gives the secret where it was made here, which is shown once.
///
/// # Errors
/// When there is no such key, nobody can sign with the secret, or the database fails.
pub async fn sign(work: &mut Work, name: &str, scheme: Scheme, secret: Option<&str>) -> Result<Option<String>, KeyError> {
    let key = that_raises(work, name).await?;
    let made = match (secret, scheme) {
        (Some(_), _) => None,
        (None, Scheme::Sentry) => return Err(KeyError::SecretIsSentrys),
        (None, _) => Some(secrets::new(SECRET_PREFIX).0),
    };
    let signing = Signing::new(scheme, secret.or(made.as_deref()).unwrap_or_default())?;
    work.db().sign_key(key.id, Some(&signing)).await?;
    let before = key.signing.as_ref().map(|own| json!({ "scheme": own.scheme, "secret": own.secret }));
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name).before(before.unwrap_or_else(|| json!({})));
    work.note(line.after(json!({ "scheme": signing.scheme, "secret": signing.secret })));
    work.announce(Announcement::Keys);
    Ok(made)
}

/// Says that what a key sends need not be signed.
///
/// # Errors
/// When there is no such key, or the database fails.
pub async fn unsign(work: &mut Work, name: &str) -> Result<(), KeyError> {
    let key = that_raises(work, name).await?;
    work.db().sign_key(key.id, None).await?;
    let before = key.signing.as_ref().map_or_else(|| json!({}), |own| json!({ "scheme": own.scheme }));
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name);
    work.note(line.before(before).after(json!({ "scheme": null })));
    work.announce(Announcement::Keys);
    Ok(())
}

/// Says that a key is taken only from whoever shows a certificate with this name or fingerprint; `None`: from anybody again.
///
/// # Errors
/// When there is no such key, no certificate can be called so, or the database fails.
pub async fn certify(work: &mut Work, name: &str, certificate: Option<&str>) -> Result<(), KeyError> {
    let key = that_raises(work, name).await?;
    if certificate.is_some_and(|certificate| !names_a_certificate(certificate)) {
        return Err(KeyError::BadCertificate);
    }
    work.db().certify_key(key.id, certificate).await?;
    let line = Line::new(Operation::KeyChanged).of(key.id).named(name);
    work.note(line.before(json!({ "certificate": key.certificate })).after(json!({ "certificate": certificate })));
    work.announce(Announcement::Keys);
    Ok(())
}

fn names_a_certificate(text: &str) -> bool {
    let is_digit = |letter: char| letter.is_ascii_hexdigit() || letter == ':';
    match text.strip_prefix("sha256:") {
        Some(digits) => digits.chars().all(is_digit) && digits.replace(':', "").len() == 64,
        None => (1..=253).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control),
    }
}

/// Says anew at which places the fields stand of what a key sends; gives the key as it is kept then.
///
/// # Errors
/// As [`place`], and when somebody else has changed it meanwhile.
pub async fn replace_places(work: &mut Work, name: &str, places: &Places, expected: &Expected) -> Result<KeyRow, KeyError> {
    expected.check(Some(&that_raises(work, name).await?.version()))?;
    let change = |kept: &mut Places| {
        kept.clone_from(places);
        Ok(())
    };
    place(work, name, change).await?;
    that_raises(work, name).await
}

/// All that is said of what a key sends.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// At which places its fields stand.
    pub places: Places,
    /// How it is signed; `None`: it need not be.
    pub scheme: Option<Scheme>,
    /// With what; `None`: with what is kept, else with what is made here.
    pub secret: Option<String>,
}

/// Says all of it anew; gives the secret where it was made here, which is shown once.
///
/// # Errors
/// As [`place`] and [`sign`], and when somebody else has changed it meanwhile.
pub async fn trust(work: &mut Work, name: &str, new: &Trust, expected: &Expected) -> Result<Option<String>, KeyError> {
    let key = that_raises(work, name).await?;
    expected.check(Some(&key.version()))?;
    replace_places(work, name, &new.places, &Expected::Anything).await?;
    let Some(scheme) = new.scheme else {
        unsign(work, name).await?;
        return Ok(None);
    };
    // What one way of signing was given is not good for another one: the sender may have made it, or shown it.
    let kept = key.signing.as_ref().filter(|signing| signing.scheme == scheme).map(|signing| signing.secret.as_str());
    sign(work, name, scheme, new.secret.as_deref().or(kept)).await
}

/// The key of a name, which raises alarms.
async fn that_raises(work: &mut Work, name: &str) -> Result<KeyRow, KeyError> {
    let key = work.db().key_by_name(name).await?.ok_or_else(|| KeyError::Unknown(name.to_owned()))?;
    match () {
        () if key.only_lists_calls() => Err(KeyError::OnlyListsCalls(name.to_owned())),
        () if key.only_mails() => Err(KeyError::OnlyMails(name.to_owned())),
        () => Ok(key),
    }
}

/// Makes a key with these rights, and gives it.
///
/// # Errors
/// As [`add_granted`].
pub async fn add_with(
    work: &mut Work,
    name: &str,
    phones: &[String],
    rights: &Rights,
    region: Region,
) -> Result<String, KeyError> {
    add_granted(work, name, phones, Grant::of(rights.clone()), region).await
}

/// Makes a key that may what is said, and gives it.
///
/// # Errors
/// As [`add`], and when rights do not go together, it would be bound to what is not there, or be no good from the beginning.
pub async fn add_granted(
    work: &mut Work,
    name: &str,
    phones: &[String],
    grant: Grant,
    region: Region,
) -> Result<String, KeyError> {
    for phone in phones {
        Number::parse(phone, region).map_err(|error| KeyError::BadNumber(phone.clone(), error))?;
    }
    insert(work, name, (phones, grant, None)).await
}

async fn insert(work: &mut Work, name: &str, what: (&[String], Grant, Option<&Said>)) -> Result<String, KeyError> {
    let now = work.now();
    let (phones, Grant { rights, bounds, expires_at }, phonecalls) = what;
    let rights = &rights.unwrap_or_else(|| Rights::of([Right::Raise]));
    rights::check(work, rights, &bounds, expires_at).await?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(KeyError::BadName);
    }
    let (key, hash) = secrets::new(PREFIX);
    let id = KeyId::new(now);
    let bound = Some(&bounds).filter(|bounds| !bounds.is_empty());
    let after = json!({ "phones": phones, "rights": rights.to_string(), "bounds": bound, "expires_at": expires_at });
    let new = NewKey { id, name, hash: &hash, phones, rights, phonecalls, bounds, expires_at };
    match work.db().insert_key(&new, now).await {
        Ok(()) => {}
        Err(error) if error.is_unique_violation() => return Err(KeyError::NameTaken(name.to_owned())),
        Err(error) => return Err(error.into()),
    }
    work.note(Line::new(Operation::KeyAdded).of(id).named(name).after(after));
    work.announce(Announcement::Keys);
    Ok(key)
}

/// Revokes a key at once that somebody has read.
///
/// # Errors
/// As [`revoke`], and when somebody else has changed it meanwhile.
pub async fn revoke_read(work: &mut Work, id: KeyId, expected: &Expected) -> Result<(), KeyError> {
    let named = work.db().key(id).await?.map(|key| key.name).ok_or_else(|| KeyError::NoSuchKey(id.to_string()))?;
    // Locked from here on.
    let key = work.db().key_by_name(&named).await?.filter(|key| key.id == id);
    let key = key.ok_or_else(|| KeyError::NoSuchKey(named.clone()))?;
    expected.check(Some(&key.version()))?;
    revoke(work, &named).await
}

/// Revokes a key at once.
///
/// # Errors
/// When there is no such key, or the database fails.
pub async fn revoke(work: &mut Work, name: &str) -> Result<(), KeyError> {
    let now = work.now();
    let id = work.db().key_by_name(name).await?.map(|key| key.id);
    if !work.db().revoke_key(name, now).await? {
        return Err(KeyError::NoSuchKey(name.to_owned()));
    }
    let line = Line::new(Operation::KeyRevoked).named(name);
    work.note(match id {
        Some(id) => line.of(id),
        None => line,
    });
    work.announce(Announcement::Keys);
    Ok(())
}
