//! Which lines of a text differ, as whoever reads a plan wants them: with what stands around them.

/// One line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It stands in both.
    Same(String),
    /// It is to go.
    Gone(String),
    /// It is to come.
    New(String),
}

/// So many lines that did not change are shown around those that did.
const AROUND: usize = 2;
/// Longer texts are not searched for what they have in common in the middle.
const MOST_CELLS: usize = 1 << 20;

/// The lines that differ, each with up to two around it.
#[must_use]
pub fn differing(before: &str, after: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    let mut all: Vec<Line> = old[..head].iter().map(|line| Line::Same((*line).to_owned())).collect();
    all.extend(middle(&old[head..old.len() - tail], &new[head..new.len() - tail]));
    all.extend(old[old.len() - tail..].iter().map(|line| Line::Same((*line).to_owned())));
    near_changes(all)
}

fn middle(old: &[&str], new: &[&str]) -> Vec<Line> {
    let gone = |line: &&str| Line::Gone((*line).to_owned());
    let come = |line: &&str| Line::New((*line).to_owned());
    let width = new.len() + 1;
    if (old.len() + 1).saturating_mul(width) > MOST_CELLS {
        return old.iter().map(gone).chain(new.iter().map(come)).collect();
    }
    // The longest run of common lines from each pair of places to the ends.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for (one, old_line) in old.iter().enumerate().rev() {
        for (other, new_line) in new.iter().enumerate().rev() {
            common[one * width + other] = match old_line == new_line {
                true => common[(one + 1) * width + other + 1] + 1,
                false => common[(one + 1) * width + other].max(common[one * width + other + 1]),
            };
        }
    }
    let (mut lines, mut one, mut other) = (Vec::new(), 0, 0);
    while one < old.len() && other < new.len() {
        if old[one] == new[other] {
            lines.push(Line::Same(old[one].to_owned()));
            (one, other) = (one + 1, other + 1);
        } else if common[(one + 1) * width + other] >= common[one * width + other + 1] {
            lines.push(gone(&old[one]));
            one += 1;
        } else {
            lines.push(come(&new[other]));
            other += 1;
        }
    }
    lines.extend(old[one..].iter().map(gone));
    lines.extend(new[other..].iter().map(come));
    lines
}

fn near_changes(all: Vec<Line>) -> Vec<Line> {
    let changed: Vec<usize> = (0..all.len()).filter(|place| !matches!(all[*place], Line::Same(_))).collect();
    let near = |place: usize| {
        let next = changed.partition_point(|own| *own < place);
        let after = changed.get(next).is_some_and(|own| own - place <= AROUND);
        after || next.checked_sub(1).and_then(|last| changed.get(last)).is_some_and(|own| place - own <= AROUND)
    };
    all.into_iter().enumerate().filter(|(place, _)| near(*place)).map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(before: &str, after: &str) -> String {
        let line = |line: &Line| match line {
            Line::Same(text) => format!(" {text}"),
            Line::Gone(text) => format!("-{text}"),
            Line::New(text) => format!("+{text}"),
        };
        differing(before, after).iter().map(line).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn what_differs_is_shown_with_what_stands_around() {
        assert_eq!(shown("a\nb\nc\nd\ne\nf\ng", "a\nb\nc\nd\ne\nF\ng"), " d| e|-f|+F| g");
        assert_eq!(shown("a\nb", "a\nb"), "");
        assert_eq!(shown("", "a\nb"), "+a|+b");
        assert_eq!(shown("a\nx\nb\ny\nc", "a\nb\nc"), " a|-x| b|-y| c");
    }

    proptest! {
        #[test]
        fn what_stays_and_comes_is_the_new_text(
            old in prop::collection::vec("[abc]", 0..12),
            new in prop::collection::vec("[abc]", 0..12),
        ) {
            fn texts(lines: &[String]) -> Vec<&str> {
                lines.iter().map(String::as_str).collect()
            }
            let lines = middle(&texts(&old), &texts(&new));
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for line in lines {
                let (Line::Same(text) | Line::Gone(text) | Line::New(text)) = &line;
                if !matches!(line, Line::New(_)) {
                    before.push(text.clone());
                }
                if !matches!(line, Line::Gone(_)) {
                    after.push(text.clone());
                }
            }
            prop_assert_eq!(before, old);
            prop_assert_eq!(after, new);
        }
    }
}
