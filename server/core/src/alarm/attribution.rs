//! Who a handset's report names: from a dial's list and `resp` to a callee.
//!
//! The stock app gets one number per dial, so there the presence of `resp` decides, whatever a phone vendor made of the number.
//! In a list, the number decides; a number that is in no list still is an answer, by that bare number.

use crate::ids::CalleeId;

/// One callee of the reported dial, in list order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialledCallee {
    /// Whom.
    pub callee: CalleeId,
    /// The number in its comparable form.
    pub number: String,
    /// Attempts the hand-out reserved; more than one means that the sequence was copied.
    pub attempts: i32,
}

/// What a report with `resp` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The callee that answered, when the number belongs to one.
    pub callee: Option<CalleeId>,
    /// The callees that were certainly not rung: their attempts are given back.
    pub not_rung: Vec<CalleeId>,
}

/// Finds who answered. `matches` says whether a number of the list is the reported one.
#[must_use]
pub fn attribute(dialled: &[DialledCallee], matches: impl Fn(&str) -> bool) -> Attribution {
    let found = match dialled {
        [only] => Some((0, only)),
        list => list.iter().enumerate().find(|(_, entry)| matches(&entry.number)),
    };
    let Some((index, entry)) = found else {
        return Attribution { callee: None, not_rung: Vec::new() };
    };
    // In a copied sequence nobody can tell in which pass the answer came, so nothing is proven about the others.
    let copied = dialled.iter().any(|entry| entry.attempts > 1);
    let not_rung = if copied { Vec::new() } else { dialled[index + 1..].iter().map(|entry| entry.callee).collect() };
    Attribution { callee: Some(entry.callee), not_rung }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn list(numbers: &[&str], attempts: i32) -> Vec<DialledCallee> {
        numbers
            .iter()
            .enumerate()
            .map(|(index, number)| DialledCallee {
                callee: CalleeId(Uuid::from_u128(index as u128)),
                number: (*number).to_owned(),
                attempts,
            })
            .collect()
    }

    #[test]
    fn one_number_needs_no_match() {
        let dialled = list(&["+861"], 1);
        assert_eq!(attribute(&dialled, |_| false).callee, Some(dialled[0].callee));
    }

    #[test]
    fn a_list_gives_back_what_comes_after_the_answer() {
        let dialled = list(&["a", "b", "c"], 1);
        let attribution = attribute(&dialled, |number| number == "b");
        assert_eq!(attribution, Attribution { callee: Some(dialled[1].callee), not_rung: vec![dialled[2].callee] });
    }

    #[test]
    fn a_copied_sequence_proves_nothing_about_the_others() {
        let dialled = list(&["a", "b"], 2);
        assert_eq!(attribute(&dialled, |number| number == "a").not_rung, vec![]);
    }

    #[test]
    fn a_number_in_no_list_names_no_callee() {
        let dialled = list(&["a", "b"], 1);
        assert_eq!(attribute(&dialled, |_| false), Attribution { callee: None, not_rung: vec![] });
    }
}
