//! What the handset has done, on disk before it is done: after a crash nobody is rung twice, and no answer is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use thiserror::Error;

use crate::{
    native::JournalEntry,
    voice::conversation::Outcome,
    wire::{CallOutcome, Cause, NativeCall, NativeOffer, NativeReport},
};

/// So many finished hand-outs are remembered, in case the server offers one of them again.
pub const REMEMBERED: usize = 200;

/// Why there is no journal.
#[derive(Debug, Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("{path} cannot be used as the journal")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another handset writes to it.
    #[error("{path} is in use: another handset runs with the same agent.state_dir")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
}

/// The journal's file. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Journal {
    file: Arc<Mutex<File>>,
    /// Held as long as anybody may write.
    _lock: Arc<File>,
}

/// What a journal says after a restart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Offers without a report, with what became of their numbers.
    pub open: Vec<(NativeOffer, NativeReport)>,
    /// Reports that the server has, by mid.
    pub done: BTreeMap<String, NativeReport>,
}

impl Journal {
    /// Opens the journal in this folder, and leaves out of it what is of no use any more.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used, or another handset uses it.
    pub fn open(folder: &Path) -> Result<(Self, Past), JournalError> {
        let path = folder.join("journal.jsonl");
        let failed = |source| JournalError::File { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        // A file of its own holds the lock, because the journal is replaced.
        let lock = OpenOptions::new().create(true).append(true).open(folder.join("journal.lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let entries = match File::open(&path) {
            Ok(file) => read(BufReader::new(file)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(why) => return Err(failed(why)),
        };
        let kept = worth_keeping(entries);
        let fresh = folder.join("journal.new");
        let mut file = File::create(&fresh).map_err(failed)?;
        for entry in &kept {
            file.write_all(line(entry).as_bytes()).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&fresh, &path).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        Ok((Self { file: Arc::new(Mutex::new(file)), _lock: Arc::new(lock) }, past(&kept)))
    }

    /// Writes an entry down, safe against power loss when this returns.
    ///
    /// # Errors
    ///
    /// If the disk does not take it.
    pub async fn write(&self, entry: JournalEntry) -> std::io::Result<()> {
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(line(&entry).as_bytes())?;
            file.sync_data()
        });
        written.await.unwrap_or_else(|why| Err(std::io::Error::other(why)))
    }
}

/// With a line break before it too: a line that a crash cut off spoils no other.
fn line(entry: &JournalEntry) -> String {
    // Made of strings and numbers only, so it cannot fail.
    format!("\n{}\n", serde_json::to_string(entry).unwrap_or_default())
}

/// The entries of a file; what cannot be read was cut off by a crash, and what it said was not begun.
fn read(file: impl BufRead) -> Vec<JournalEntry> {
    file.split(b'\n').map_while(Result::ok).filter_map(|line| serde_json::from_slice(&line).ok()).collect()
}

fn mid(entry: &JournalEntry) -> &str {
    match entry {
        JournalEntry::Leased { offer, .. } => &offer.mid,
        JournalEntry::Dialling { mid, .. }
        | JournalEntry::Connected { mid, .. }
        | JournalEntry::Key { mid, .. }
        | JournalEntry::Ended { mid, .. }
        | JournalEntry::Reported { mid } => mid,
        // Commands are none of this handset's.
        JournalEntry::Begun { .. } | JournalEntry::Done { .. } => "",
    }
}

/// The entries of everything that is open, and of the last hand-outs that are not.
fn worth_keeping(entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
    let reported: Vec<String> = entries
        .iter()
        .filter(|entry| matches!(entry, JournalEntry::Reported { .. }))
        .map(|entry| mid(entry).to_owned())
        .collect();
    let old: BTreeSet<String> = reported.iter().rev().skip(REMEMBERED).cloned().collect();
    entries.into_iter().filter(|entry| !old.contains(mid(entry))).collect()
}

/// What was going on, by the journal alone: a number that was dialled and has no end is over, because the call ended with the program.
#[must_use]
pub fn past(entries: &[JournalEntry]) -> Past {
    let mut offers: Vec<(NativeOffer, Vec<NativeCall>)> = Vec::new();
    let mut past = Past::default();
    for entry in entries {
        let mid = mid(entry);
        if let JournalEntry::Leased { offer, .. } = entry {
            if !offers.iter().any(|(known, _)| known.mid == mid) {
                offers.push((offer.clone(), Vec::new()));
            }
            continue;
        }
        let Some(at) = offers.iter().position(|(offer, _)| offer.mid == mid) else { continue };
        let calls = &mut offers[at].1;
        match entry {
            JournalEntry::Dialling { number, .. } => calls.push(NativeCall {
                number: number.clone(),
                outcome: Some(CallOutcome::NoAnswer),
                cause: Some(Cause { text: Some("agent restarted".to_owned()), ..Cause::default() }),
                ..NativeCall::default()
            }),
            JournalEntry::Connected { .. } => {
                if let Some(call) = calls.last_mut() {
                    call.outcome = Some(CallOutcome::Answered);
                    call.confirmed = Some(false);
                }
            }
            JournalEntry::Key { key, action, .. } => {
                if let Some(call) = calls.last_mut() {
                    pressed(call, *key, action.as_deref());
                }
            }
            JournalEntry::Ended { call, .. } => {
                calls.pop();
                calls.push(call.clone());
            }
            JournalEntry::Reported { .. } => {
                let (offer, calls) = offers.remove(at);
                past.done.insert(offer.mid.clone(), report(&offer, calls));
            }
            JournalEntry::Leased { .. } | JournalEntry::Begun { .. } | JournalEntry::Done { .. } => {}
        }
    }
    past.open = offers.into_iter().map(|(offer, calls)| (offer.clone(), report(&offer, calls))).collect();
    past
}

/// A key in a call of which nothing else is known any more. The first one that decides stands.
fn pressed(call: &mut NativeCall, key: char, action: Option<&str>) {
    call.outcome = Some(CallOutcome::Answered);
    call.keys.get_or_insert_default().push(key);
    let decided = call.action.as_deref().is_some_and(|action| matches!(action, "accept" | "decline" | "stop_calling"));
    if !decided && let Some(action) = action {
        call.action = Some(action.to_owned());
    }
    let so_far = Outcome { action: call.action.clone(), ..Outcome::default() };
    (call.confirmed, call.declined) = (so_far.confirmed(), so_far.declined());
}

/// What became of each number, those nobody tried included.
#[must_use]
pub fn report(offer: &NativeOffer, calls: Vec<NativeCall>) -> NativeReport {
    let untouched: Vec<NativeCall> = offer
        .phone
        .iter()
        .skip(calls.len())
        .map(|number| NativeCall { number: number.clone(), outcome: Some(CallOutcome::NotDialled), ..NativeCall::default() })
        .collect();
    NativeReport { calls: calls.into_iter().chain(untouched).collect() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    const A: &str = "13900000001";
    const B: &str = "13900000002";

    fn leased(mid: &str) -> JournalEntry {
        let offer = NativeOffer { phone: vec![A.into(), B.into()], mid: mid.into(), ..NativeOffer::default() };
        JournalEntry::Leased { offer, at_ms: 0 }
    }

    fn dialling(mid: &str, number: &str) -> JournalEntry {
        JournalEntry::Dialling { mid: mid.into(), number: number.into(), at_ms: 0, call: Some("c".into()) }
    }

    fn connected(mid: &str) -> JournalEntry {
        JournalEntry::Connected { mid: mid.into(), number: A.into() }
    }

    fn key(mid: &str, key: char, action: Option<&str>) -> JournalEntry {
        JournalEntry::Key { mid: mid.into(), number: A.into(), key, action: action.map(str::to_owned) }
    }

    fn outcomes(entries: &[JournalEntry]) -> Vec<(CallOutcome, Option<bool>, bool)> {
        let past = past(entries);
        past.open[0].1.calls.iter().map(|call| (call.outcome.unwrap(), call.confirmed, call.declined)).collect()
    }

    #[test]
    fn a_crash_in_every_state() {
        use CallOutcome::{Answered, NoAnswer, NotDialled};
        let untouched = (NotDialled, None, false);
        let mut entries = vec![leased("m")];
        assert_eq!(outcomes(&entries), [untouched, untouched]);
        entries.push(dialling("m", A));
        assert_eq!(outcomes(&entries), [(NoAnswer, None, false), untouched]);
        entries.push(connected("m"));
        assert_eq!(outcomes(&entries), [(Answered, Some(false), false), untouched]);
        entries.push(key("m", '9', None));
        assert_eq!(outcomes(&entries), [(Answered, Some(false), false), untouched]);
        entries.push(key("m", '1', Some("accept")));
        assert_eq!(outcomes(&entries), [(Answered, Some(true), false), untouched]);
        entries.push(key("m", '2', Some("decline")));
        assert_eq!(outcomes(&entries), [(Answered, Some(true), false), untouched], "the first word stands");
        let ended = NativeCall { number: A.into(), outcome: Some(Answered), talk_seconds: Some(7), ..NativeCall::default() };
        entries.push(JournalEntry::Ended { mid: "m".into(), call: ended });
        assert_eq!(outcomes(&entries), [(Answered, None, false), untouched]);
        entries.push(JournalEntry::Reported { mid: "m".into() });
        let past = past(&entries);
        assert_eq!((past.open.len(), past.done["m"].calls[0].talk_seconds), (0, Some(7)));
        assert_eq!(outcomes(&[leased("m"), dialling("m", A), key("m", '2', Some("decline"))])[0], (Answered, Some(true), true));
    }

    #[test]
    fn hand_outs_of_several_channels_stand_apart() {
        let entries = [leased("m"), leased("n"), dialling("m", A), dialling("n", A), connected("n")];
        let past = past(&entries);
        let first = |at: usize| past.open[at].1.calls[0].outcome.unwrap();
        assert_eq!((first(0), first(1)), (CallOutcome::NoAnswer, CallOutcome::Answered));
    }

    #[tokio::test]
    async fn it_survives_a_cut_line_and_a_restart_and_holds_off_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        std::fs::write(&path, format!("{}\n{{\"entry\":\"dialling\",\"mid\":\"m\",\"numb", line(&leased("m")))).unwrap();
        let (journal, past) = Journal::open(folder.path()).unwrap();
        assert_eq!(past.open.len(), 1);
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::InUse { .. })));
        journal.write(dialling("m", A)).await.unwrap();
        journal.write(JournalEntry::Reported { mid: "m".into() }).await.unwrap();
        let text = std::fs::read(&path).unwrap();
        assert_eq!(self::past(&read(text.as_slice())).done.len(), 1);
    }

    #[test]
    fn old_hand_outs_are_left_out_and_open_ones_never() {
        let mut entries = vec![leased("open"), dialling("open", A)];
        for n in 0..REMEMBERED + 50 {
            entries.extend([leased(&n.to_string()), JournalEntry::Reported { mid: n.to_string() }]);
        }
        let past = past(&worth_keeping(entries));
        assert_eq!((past.open.len(), past.done.len()), (1, REMEMBERED));
        assert!(!past.done.contains_key("49") && past.done.contains_key("50"));
    }

    proptest! {
        /// Whatever stands in a journal, and wherever it is cut off: a number that was dialled is never left for another dial.
        #[test]
        fn nothing_that_was_dialled_is_left_undialled(steps in proptest::collection::vec(0_u8..6, 0..12), cut in 0_usize..4000) {
            let mut text = line(&leased("m"));
            for step in steps {
                text += &line(&match step {
                    0 => dialling("m", A),
                    1 => connected("m"),
                    2 => key("m", '1', Some("accept")),
                    3 => key("m", '9', None),
                    4 => leased("m"),
                    _ => JournalEntry::Ended { mid: "m".into(), call: NativeCall { outcome: Some(CallOutcome::Busy), ..NativeCall::default() } },
                });
            }
            text.truncate(cut);
            let entries = read(text.as_bytes());
            let dialled = entries.iter().any(|entry| matches!(entry, JournalEntry::Dialling { .. } | JournalEntry::Ended { .. }));
            let past = past(&entries);
            if dialled {
                prop_assert!(past.open[0].1.calls[0].outcome != Some(CallOutcome::NotDialled));
            }
            if let Some((offer, report)) = past.open.first() {
                prop_assert!(report.calls.len() >= offer.phone.len());
            }
        }
    }
}
