//! Retention: alarms that are long over are forgotten, in small steps, and never one that is open.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::audit::forget::Known;
use crate::ids::HuntId;
use crate::store::alarm::said::BURNT_AT_ONCE;
use crate::store::audit::copies::CopiesPlace;
use crate::store::retention::{ALARMS_AT_ONCE, EndedHunt, LINES_AT_ONCE};
use crate::store::{Announcement, Store, StoreError};

/// Between two portions others get at the embedded database, also those in another process, which do not stand in line with this one.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Forgets every alarm that ended before then and was not heard of since, with its hunts, dials, answers and timeline; gives how
/// many. In portions, each found by an index and in a transaction of its own: it comes to its end however much there is, and nobody
/// waits.
///
/// # Errors
/// When the database fails; what was forgotten until then stays forgotten.
pub async fn prune(store: &Store, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut alarms = 0;
    let mut after = EndedHunt::FIRST;
    loop {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        let hunts = tx.db().hunts_ended(before, after).await?;
        let Some(last) = hunts.last() else { break };
        let gone = tx.db().prune_hunts(&hunts, before).await?;
        tx.commit().await?;
        alarms += gone;
        // As many as may go at once: there may be more in the same hunts. Else what is left of them stays, and is not looked at again.
        if gone < ALARMS_AT_ONCE {
            after = *last;
        }
        pause(began).await;
    }
    for lines in [Lines::HandsetEvents, Lines::Commands, Lines::InboundSms, Lines::HandOvers] {
        forget(store, lines, before).await?;
    }
    if alarms > 0 {
        let mut tx = store.begin().await?;
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
    }
    Ok(alarms)
}

/// What is forgotten by its age alone.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) enum Lines {
    /// What happened to handsets, and the notices of it.
    HandsetEvents,
    /// Commands to handsets.
    Commands,
    /// Text messages that came in or went out.
    InboundSms,
    /// Hand-overs of public numbers, but for the last two of each.
    HandOvers,
    /// What was answered under a sender's key.
    IdempotencyKeys,
    /// What was answered to operators under a key.
    RepeatedRequests,
    /// Ends of which no beginning was heard.
    EndsHeard,
    /// Requests that somebody takes a shift.
    Swaps,
    /// Outages of handsets that are over.
    Outages,
    /// Records of calls.
    CallRecords,
    /// Calls that other systems list.
    PhoneCalls,
    /// Commands for calls that ran.
    LiveCommands,
    /// What was told of calls while they ran.
    LiveEvents,
    /// Calls that came in.
    InboundCalls,
    /// Detail records of shouts.
    ShoutRecords,
    /// What programs were answered.
    RpcRequests,
    /// Calls and conferences of programs that are over.
    RpcResources,
    /// Who listened to their events.
    RpcConsumers,
    /// What was recorded for programs.
    RpcRecordings,
    /// Who changed what.
    Audit,
}

/// Forgets what is older than that, in portions until nothing is left.
///
/// # Errors
/// When the database fails.
pub(in crate::engine) async fn forget(store: &Store, lines: Lines, before: DateTime<Utc>) -> Result<(), StoreError> {
    loop {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        let mut db = tx.db();
        let gone = match lines {
            Lines::HandsetEvents => db.prune_handset_events(before).await?,
            Lines::Commands => db.forget_commands(before).await?,
            Lines::InboundSms => db.forget_inbound(before).await?,
            Lines::HandOvers => db.forget_hand_overs(before).await?,
            Lines::IdempotencyKeys => db.forget_idempotent_requests(before).await?,
            Lines::EndsHeard => db.forget_ends_heard(before).await?,
            Lines::RepeatedRequests => db.forget_repeated_requests(before).await?,
            Lines::Swaps => db.forget_swaps(before).await?,
            Lines::Outages => db.forget_outages(before).await?,
            Lines::CallRecords => db.forget_call_records(before).await?,
            Lines::PhoneCalls => db.forget_replicated_calls(before).await?,
            Lines::ShoutRecords => db.prune_shout_records(before).await?,
            Lines::RpcRequests => db.prune_rpc_requests(before).await?,
            Lines::RpcResources => db.prune_resources(before).await?,
            Lines::RpcConsumers => db.forget_rpc_consumers(before).await?,
            Lines::RpcRecordings => db.forget_rpc_recordings(before).await?,
            Lines::LiveCommands => db.forget_live_commands(before).await?,
            Lines::InboundCalls => db.forget_inbound_calls(before).await?,
            Lines::LiveEvents => db.forget_heard_live(before).await?,
            Lines::Audit => db.forget_audit(before).await?,
        };
        tx.commit().await?;
        if gone < LINES_AT_ONCE {
            return Ok(());
        }
        pause(began).await;
    }
}

/// How far numbers have been masked, in the order in which hunts ended.
const MASKED: &str = "numbers masked";
/// How far in the lines beside all alarms.
const LINES_MASKED: &str = "lines masked";

/// Masks the numbers in alarms that were over before then. It goes on where it was, so that nothing is looked at twice but hunts that had to be
/// passed over, because an alarm of theirs was not over. Each transaction is a short one, however many a hunt rang.
///
/// # Errors
/// When the database fails; what was masked until then stays so.
pub(super) async fn mask_numbers(store: &Store, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut last = HuntId(uuid::Uuid::nil());
    loop {
        let hunts = store.read().await?.db().hunts_passed_over(last).await?;
        let Some(behind) = hunts.last() else { break };
        last = *behind;
        let masked = mask_hunts(store, &hunts, before, now).await?;
        let mut tx = store.begin().await?;
        tx.db().note_masked(&masked).await?;
        tx.commit().await?;
    }
    let mut after = place(store, MASKED).await?.map_or(EndedHunt::FIRST, |(ended_at, id)| EndedHunt { ended_at, id });
    loop {
        let hunts = store.read().await?.db().hunts_to_mask(before, after).await?;
        let Some(last) = hunts.last().copied() else { break };
        let ids: Vec<HuntId> = hunts.iter().map(|hunt| hunt.id).collect();
        let masked = mask_hunts(store, &ids, before, now).await?;
        let passed: Vec<HuntId> = ids.into_iter().filter(|id| !masked.contains(id)).collect();
        let mut tx = store.begin().await?;
        tx.db().pass_over(&passed).await?;
        tx.db().note_place(MASKED, &format!("{} {}", last.ended_at.to_rfc3339(), last.id), now).await?;
        tx.commit().await?;
        after = last;
    }
    let mut after = place(store, LINES_MASKED).await?.unwrap_or((DateTime::UNIX_EPOCH, 0));
    loop {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        let Some(last) = tx.db().mask_lines(before, after).await? else { return Ok(()) };
        tx.db().note_place(LINES_MASKED, &format!("{} {}", last.0.to_rfc3339(), last.1), now).await?;
        tx.commit().await?;
        after = last;
        pause(began).await;
    }
}

/// Where something goes on: an instant, and what stands behind it.
async fn place<T: std::str::FromStr>(store: &Store, name: &str) -> Result<Option<(DateTime<Utc>, T)>, StoreError> {
    let reached = store.read().await?.db().place(name).await?;
    Ok(reached.and_then(|(reached, _)| {
        let (at, id) = reached.split_once(' ')?;
        Some((at.parse().ok()?, id.parse().ok()?))
    }))
}

/// Masks the numbers in those of these hunts whose alarms are over, and gives which those are.
async fn mask_hunts(
    store: &Store,
    hunts: &[HuntId],
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<HuntId>, StoreError> {
    let mut reader = store.read().await?;
    let not_over = reader.db().not_over(hunts, before).await?;
    let hunts: Vec<HuntId> = hunts.iter().filter(|hunt| !not_over.contains(hunt)).copied().collect();
    let known = Known::only_numbers(reader.db().numbers_in(&hunts).await?);
    drop(reader);
    let mut place = Some(CopiesPlace::default()).filter(|_| !hunts.is_empty());
    while let Some(from) = place {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        place = tx.db().forget_copies(&hunts, &known, from, now).await?;
        tx.commit().await?;
        pause(began).await;
    }
    // Last of all: a masking that was broken off finds by them what it has still to mask.
    for hunt in &hunts {
        let mut more = true;
        while more {
            let began = tokio::time::Instant::now();
            let mut tx = store.begin().await?;
            more = tx.db().mask_callees(*hunt).await?;
            tx.commit().await?;
            pause(began).await;
        }
    }
    Ok(hunts)
}

/// Forgets what burnt in alarms that are over since before then. Of a giant group that is megabytes, and nobody asks for it again.
///
/// # Errors
/// When the database fails.
pub(super) async fn forget_burnt(store: &Store, before: DateTime<Utc>) -> Result<(), StoreError> {
    loop {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        let gone = tx.db().forget_burnt(before).await?;
        tx.commit().await?;
        if gone < BURNT_AT_ONCE {
            return Ok(());
        }
        pause(began).await;
    }
}

async fn pause(began: tokio::time::Instant) {
    tokio::time::sleep(began.elapsed().min(LONGEST_PAUSE)).await;
}
