//! What keys and open networks may do that they need not, because it is from before there were rights.

use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::keep::keys::rights::too_wide;
use crate::store::StoreError;

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let Some(store) = seen.store() else { return Ok(Vec::new()) };
        let wide = too_wide(&mut store.read().await?.db(), seen.config(), seen.clock.now()).await?;
        let found: Vec<Finding> = wide.sentences().into_iter().map(|(said, todo)| Finding::warn(said, todo)).collect();
        if found.is_empty() {
            return Ok(vec![Finding::good("no key and no open network may more than somebody has said")]);
        }
        Ok(found)
    })
}
