//! Whether a burden is shared: how much of it somebody bears, against an equal share.

/// How much somebody bears against the mean of all, in hundredths: 100 is an equal share. `None` where there is nothing to share.
#[must_use]
pub fn against_mean(own: i64, of_all: i64, people: usize) -> Option<i64> {
    let people = i64::try_from(people).ok().filter(|people| *people > 0)?;
    (of_all > 0).then(|| (own.saturating_mul(people).saturating_mul(200) / of_all + 1).div_euclid(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_share_is_a_hundred() {
        assert_eq!(against_mean(10, 30, 3), Some(100));
        assert_eq!(against_mean(20, 30, 3), Some(200));
        assert_eq!(against_mean(0, 30, 3), Some(0));
        assert_eq!(against_mean(1, 3, 1), Some(33));
        assert_eq!(against_mean(2, 3, 1), Some(67));
        assert_eq!(against_mean(0, 0, 3), None);
        assert_eq!(against_mean(1, 1, 0), None);
    }
}
