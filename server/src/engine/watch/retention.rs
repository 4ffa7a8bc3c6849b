//! Retention: alarms that are long over are forgotten, in small steps, and never one that is open.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::store::alarm::said::BURNT_AT_ONCE;
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
/// So many hunts at a time: each may have hundreds of lines.
const MASKED_AT_ONCE: usize = 20;

/// Masks the numbers in alarms that ended before then. It goes on where it was, so that nothing is looked at twice.
///
/// # Errors
/// When the database fails; what was masked until then stays so.
pub(super) async fn mask_numbers(store: &Store, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let reached = store.read().await?.db().place(MASKED).await?;
    let place = reached.and_then(|(reached, _)| {
        let (at, id) = reached.split_once(' ').map(|(at, id)| (at.to_owned(), id.to_owned()))?;
        Some(EndedHunt { ended_at: at.parse().ok()?, id: id.parse().ok()? })
    });
    let mut after = place.unwrap_or(EndedHunt::FIRST);
    loop {
        let began = tokio::time::Instant::now();
        let mut tx = store.begin().await?;
        let mut hunts = tx.db().hunts_ended(before, after).await?;
        hunts.truncate(MASKED_AT_ONCE);
        let Some(last) = hunts.last().copied() else { return Ok(()) };
        let ids: Vec<_> = hunts.iter().map(|hunt| hunt.id).collect();
        tx.db().mask_numbers_in(&ids).await?;
        tx.db().note_place(MASKED, &format!("{} {}", last.ended_at.to_rfc3339(), last.id), now).await?;
        tx.commit().await?;
        after = last;
        pause(began).await;
    }
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
