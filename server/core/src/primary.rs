//! Which of several Postgres servers is the primary, and whether one that says so is believed.
//!
//! Each time a standby is promoted its cluster begins a timeline with the next number. A server that was the primary before and comes back
//! still is on the one of before: what others have taken since is not in it. Whoever remembers the highest timeline that was ever used
//! recognises it.

/// A cluster and how far it had got: its identifier, which all copies of it share, and the number of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The identifier of the cluster (`pg_control_system`).
    pub system: u64,
    /// The timeline that it writes on.
    pub timeline: u32,
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// It follows another one.
    pub standby: bool,
    /// It is no standby, and refuses changes all the same (`default_transaction_read_only`).
    pub read_only: bool,
    /// `None` where it does not tell: a standby, and services that keep it to themselves.
    pub lineage: Option<Lineage>,
    /// When it was started, in microseconds: two addresses that tell the same lead to one server, as those of two poolers do.
    pub started: i64,
}

/// Why a server is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// It is a standby.
    Standby,
    /// Another one was promoted since it was the primary.
    Older {
        /// Its timeline.
        told: u32,
        /// The highest one that was used.
        known: u32,
    },
    /// It belongs to another cluster than the one that was used.
    Stranger,
}

impl Told {
    /// What speaks against using it, for somebody who has used a cluster before.
    #[must_use]
    pub fn objection(&self, known: Option<Lineage>) -> Option<Objection> {
        if self.standby {
            return Some(Objection::Standby);
        }
        let (told, known) = (self.lineage?, known?);
        if told.system != known.system {
            return Some(Objection::Stranger);
        }
        (told.timeline < known.timeline).then_some(Objection::Older { told: told.timeline, known: known.timeline })
    }
}

/// Which server is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the list; `None`: none of them may be.
    pub host: Option<usize>,
    /// Another one that says the same of itself, so that nobody can tell which of the two is meant.
    pub twin: Option<usize>,
}

/// Chooses among what servers tell, in the order in which they are listed; those that cannot be reached tell nothing. `at` is the one that
/// is used now. The latest timeline is chosen, and of equals one that takes changes, then the one that is used already, then the first.
#[must_use]
pub fn choose(told: &[Option<Told>], known: Option<Lineage>, at: Option<usize>) -> Choice {
    let fit = |(host, told): (usize, &Option<Told>)| told.filter(|told| told.objection(known).is_none()).map(|told| (host, told));
    let rank = |told: &Told| (told.lineage.map_or(0, |lineage| lineage.timeline), !told.read_only);
    let fits: Vec<(usize, Told)> = told.iter().enumerate().filter_map(fit).collect();
    let best = fits.iter().map(|(_, told)| rank(told)).max();
    let equals: Vec<(usize, Told)> = fits.into_iter().filter(|(_, told)| Some(rank(told)) == best).collect();
    let used = equals.iter().find(|(host, _)| Some(*host) == at).or_else(|| equals.first());
    let Some((host, used)) = used else { return Choice::default() };
    let twin = equals.iter().find(|(_, told)| told.started != used.started).map(|(host, _)| *host);
    Choice { host: Some(*host), twin }
}

/// What is remembered after a server was used: how far its cluster has got.
#[must_use]
pub fn learnt(known: Option<Lineage>, told: &Told) -> Option<Lineage> {
    match (known, told.lineage) {
        (Some(known), Some(told)) if told.system == known.system => {
            Some(Lineage { timeline: told.timeline.max(known.timeline), ..known })
        }
        (known, told) => told.or(known),
    }
}

/// The timeline of which a file of the log is: the first eight of its name's hexadecimal digits.
#[must_use]
pub fn timeline_of(log_file: &str) -> Option<u32> {
    u32::from_str_radix(log_file.get(..8)?, 16).ok().filter(|timeline| *timeline > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn primary(timeline: u32) -> Told {
        Told { standby: false, read_only: false, lineage: Some(Lineage { system: 7, timeline }), started: 1 }
    }

    const STANDBY: Told = Told { standby: true, read_only: true, lineage: None, started: 2 };

    #[expect(clippy::unnecessary_wraps, reason = "as it is remembered")]
    fn known(timeline: u32) -> Option<Lineage> {
        Some(Lineage { system: 7, timeline })
    }

    #[test]
    fn the_one_that_is_a_primary_is_found() {
        assert_eq!(choose(&[Some(STANDBY), Some(primary(1))], None, None).host, Some(1));
        assert_eq!(choose(&[None, Some(primary(1))], known(1), Some(0)).host, Some(1));
        assert_eq!(choose(&[Some(STANDBY), None], known(1), Some(0)), Choice::default());
    }

    #[test]
    fn one_that_was_the_primary_before_is_never_believed() {
        assert_eq!(primary(1).objection(known(2)), Some(Objection::Older { told: 1, known: 2 }));
        assert_eq!(choose(&[Some(primary(1)), None], known(2), Some(0)), Choice::default());
        // Nobody remembers, and both are there: the later one.
        assert_eq!(choose(&[Some(primary(1)), Some(primary(2))], None, Some(0)), Choice { host: Some(1), twin: None });
        // Promoted once more.
        assert_eq!(choose(&[Some(primary(3)), Some(primary(2))], known(2), Some(1)).host, Some(0));
    }

    #[test]
    fn another_cluster_is_a_stranger_for_whoever_has_used_one() {
        let other = Told { lineage: Some(Lineage { system: 8, timeline: 9 }), ..primary(1) };
        assert_eq!(other.objection(known(1)), Some(Objection::Stranger));
        assert_eq!(other.objection(None), None);
        assert_eq!(learnt(known(4), &other), other.lineage);
    }

    #[test]
    fn of_two_that_say_the_same_the_one_that_is_used_stays_and_it_is_told() {
        let both = [Some(primary(2)), Some(Told { started: 9, ..primary(2) })];
        assert_eq!(choose(&both, known(2), Some(1)), Choice { host: Some(1), twin: Some(0) });
        assert_eq!(choose(&both, known(2), None), Choice { host: Some(0), twin: Some(1) });
        let read_only = Told { read_only: true, ..primary(2) };
        assert_eq!(choose(&[Some(read_only), Some(primary(2))], known(2), Some(0)), Choice { host: Some(1), twin: None });
        assert_eq!(choose(&[Some(read_only), None], known(2), None).host, Some(0));
    }

    #[test]
    fn two_addresses_of_one_server_are_no_twins() {
        let both = [Some(primary(2)), Some(primary(2))];
        assert_eq!(choose(&both, known(2), Some(1)), Choice { host: Some(1), twin: None });
        assert_eq!(choose(&[None, both[1]], known(2), Some(0)).host, Some(1), "where one pooler is away the other leads there");
    }

    #[test]
    fn the_timeline_stands_in_the_name_of_the_log() {
        assert_eq!(timeline_of("000000020000000000000003"), Some(2));
        assert_eq!(timeline_of("0000001F0000000000000003"), Some(31));
        for other in ["", "0000000", "00000000", "no file of the log", "–––––––––"] {
            assert_eq!(timeline_of(other), None, "{other}");
        }
    }

    fn anything() -> impl Strategy<Value = Option<Told>> {
        let told = (any::<bool>(), any::<bool>(), proptest::option::of((7_u64..9, 1_u32..5)), 1_i64..4);
        let told = told.prop_map(|(standby, read_only, told, started)| {
            let lineage = told.map(|(system, timeline)| Lineage { system, timeline });
            Told { standby, read_only, lineage, started }
        });
        proptest::option::of(told)
    }

    proptest! {
        #[test]
        fn whoever_is_chosen_is_a_primary_that_has_all_that_was_used(
            told in proptest::collection::vec(anything(), 0..6), timeline in 1_u32..5, at in proptest::option::of(0_usize..6)
        ) {
            let known = known(timeline);
            let choice = choose(&told, known, at);
            prop_assert_eq!(choice, choose(&told, known, choice.host), "what was chosen stays chosen");
            if let Some(chosen) = choice.host {
                let chosen = told[chosen].unwrap_or(STANDBY);
                prop_assert!(!chosen.standby);
                prop_assert!(chosen.lineage.is_none_or(|lineage| lineage.system == 7 && lineage.timeline >= timeline));
                prop_assert!(choice.twin != choice.host);
                let after = learnt(known, &chosen);
                prop_assert_eq!(chosen.objection(after), None, "it goes on being used");
            } else {
                prop_assert!(told.iter().flatten().all(|told| told.objection(known).is_some()));
            }
        }
    }
}
