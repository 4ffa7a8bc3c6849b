//! Retention: alarms that are long over are forgotten, in small steps, and never one that is open.

use chrono::{DateTime, Utc};

use crate::store::{Announcement, Store, StoreError};

/// Forgets every alarm that ended before then and was not heard of since, with its hunts, dials, answers and timeline; gives how
/// many. Small transactions, so that nobody waits.
///
/// # Errors
/// When the database fails; what was forgotten until then stays forgotten.
pub async fn prune(store: &Store, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut alarms = 0;
    loop {
        let mut tx = store.begin().await?;
        let gone = tx.db().prune_alarms(before).await?;
        let hunts = tx.db().prune_hunts(before).await?;
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
        alarms += gone;
        if gone == 0 && hunts == 0 {
            break;
        }
    }
    let mut tx = store.begin().await?;
    tx.db().prune_handset_events(before).await?;
    tx.db().forget_inbound(before).await?;
    tx.db().forget_hand_overs(before).await?;
    tx.commit().await?;
    Ok(alarms)
}
