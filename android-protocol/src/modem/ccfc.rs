//! Call forwarding set by command, and asked for again: the network's own answer (3GPP TS 27.007, section 7.11).

use std::time::Duration;

use super::{
    exchange::{Answer, Command},
    number_at, same_line, values,
};
use crate::{
    forwarding::{Condition, Meaning, Operation},
    wire::NetworkForwarding,
};

/// How long a network may take.
const WITHIN: Duration = Duration::from_secs(40);

/// What is asked of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// When calls are forwarded, by the network's own number for it.
    pub reason: u8,
    /// What is asked.
    pub operation: Operation,
    /// To whom; empty unless it is set.
    pub target: String,
}

impl Wish {
    /// What a forwarding code wants; `None` where a code to set it names nobody.
    #[must_use]
    pub fn of(meaning: &Meaning) -> Option<Self> {
        let reason = match meaning.condition {
            Condition::Always => 0,
            Condition::Busy => 1,
            Condition::NoReply => 2,
            Condition::Unreachable => 3,
        };
        let target = meaning.target.as_ref().map(|target| target.as_str().to_owned()).unwrap_or_default();
        (meaning.operation != Operation::Set || !target.is_empty()).then_some(Self {
            reason,
            operation: meaning.operation,
            target,
        })
    }

    /// The commands that do it, the second only where the first is refused; none for a question.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        let Self { reason, target, .. } = self;
        let texts = match self.operation {
            Operation::Query => Vec::new(),
            Operation::Set => {
                let kind = if target.starts_with('+') { 145 } else { 129 };
                // After how many seconds, where nobody answers: 20 is what a phone sets.
                let after = if *reason == 2 { ",,,20" } else { "" };
                vec![format!("AT+CCFC={reason},3,\"{target}\",{kind},1{after}")]
            }
            Operation::Cancel => vec![format!("AT+CCFC={reason},4,,,1"), format!("AT+CCFC={reason},4")],
        };
        texts.into_iter().map(|text| Command::new(text).within(WITHIN)).collect()
    }

    /// The question that follows.
    #[must_use]
    pub fn question(&self) -> Command {
        Command::new(format!("AT+CCFC={},2", self.reason)).answered_by("+CCFC").within(WITHIN)
    }

    /// What the network says now; `None` if its answer cannot be read.
    #[must_use]
    pub fn answer(&self, answer: &Answer) -> Option<NetworkForwarding> {
        let lines: Vec<_> = answer.lines.iter().filter_map(|line| parse(line)).collect();
        // Of several lines the one about voice counts.
        let (active, class, number) = lines.iter().find(|(_, class, _)| class & 1 == 1).or(lines.first())?;
        Some(NetworkForwarding { reason: self.reason, active: *active, number: number.clone(), class: *class })
    }

    /// Whether the network does what was asked of it.
    #[must_use]
    pub fn is_met(&self, network: &NetworkForwarding) -> bool {
        match self.operation {
            Operation::Query => true,
            Operation::Cancel => !network.active,
            Operation::Set => network.active && network.number.as_deref().is_some_and(|number| same_line(number, &self.target)),
        }
    }
}

/// `+CCFC: 1,1,"+8613900000001",145`: whether it is active, for which kinds of call, and to whom.
fn parse(line: &str) -> Option<(bool, u8, Option<String>)> {
    let values = values(line.strip_prefix("+CCFC").filter(|rest| rest.starts_with(':'))?);
    let active = number_at::<u8>(&values, 0)? == 1;
    // 255 is every kind, and no kind is voice.
    let class = number_at::<u16>(&values, 1).unwrap_or(1);
    let number = values.get(2).filter(|number| !number.is_empty()).cloned();
    Some((active, u8::try_from(class).unwrap_or(1), number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::modem::exchange::Final;

    fn wish(operation: Operation, reason: u8) -> Wish {
        let target = if operation == Operation::Set { "+8613900000001".to_owned() } else { String::new() };
        Wish { reason, operation, target }
    }

    fn texts(wish: &Wish) -> Vec<String> {
        wish.commands().into_iter().map(|command| command.text).collect()
    }

    fn network(wish: &Wish, lines: &[&str]) -> Option<NetworkForwarding> {
        wish.answer(&Answer { lines: lines.iter().map(|&line| line.to_owned()).collect(), result: Final::Ok })
    }

    #[test]
    fn commands_as_modems_know_them() {
        assert_eq!(texts(&wish(Operation::Set, 0)), ["AT+CCFC=0,3,\"+8613900000001\",145,1"]);
        let national = Wish { target: "13900000001".into(), ..wish(Operation::Set, 2) };
        assert_eq!(texts(&national), ["AT+CCFC=2,3,\"13900000001\",129,1,,,20"]);
        assert_eq!(texts(&wish(Operation::Cancel, 0)), ["AT+CCFC=0,4,,,1", "AT+CCFC=0,4"]);
        assert_eq!(texts(&wish(Operation::Query, 0)), [""; 0]);
        assert_eq!(wish(Operation::Set, 3).question().text, "AT+CCFC=3,2");
    }

    #[test]
    fn the_answer_of_the_network_in_every_form_that_was_seen() {
        let set = wish(Operation::Set, 0);
        let active = network(&set, &["+CCFC: 0,2,\"\",129", "+CCFC: 1,1,\"13900000001\",129"]);
        assert!(active.is_some_and(|network| set.is_met(&network) && network.class == 1), "a national number is the same line");
        for (line, met) in [
            ("+CCFC: 1,1,\"+8613900000001\",145,,,25", true),
            ("+CCFC: 1,255,\"+8613900000001\",145", true),
            ("+CCFC: 1,1,\"+8613900000002\",145", false),
            ("+CCFC: 1,1", false),
            ("+CCFC: 0,255", false),
            ("+CCFC: 0,16,\"\",129,,,", false),
        ] {
            assert_eq!(network(&set, &[line]).map(|network| set.is_met(&network)), Some(met), "{line}");
            let cancel = wish(Operation::Cancel, 0);
            assert_eq!(network(&cancel, &[line]).map(|network| cancel.is_met(&network)), Some(line.contains(": 0")), "{line}");
        }
        assert_eq!(network(&set, &[]), None);
        assert_eq!(network(&set, &["+CCFC: what"]), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in r#"\+CCFC: [0-9,"+]{0,40}|.{0,40}"#) {
            let _ = parse(&line);
        }
    }
}
