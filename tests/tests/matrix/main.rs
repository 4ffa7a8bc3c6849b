//! The matrix: every build of the app, and the native handset, through every scenario, on both engines.
//!
//! The server runs in this process with a clock that the test moves; handsets are simulated with every fault they have, and talk to
//! it over HTTP. A scenario says what happens; [`truth`] then judges from outside, alike for all of them: the handset is well, nobody
//! was rung by two phones at once, nobody was rung more often than agreed, and what the server says of each call is what happened.
//!
//! Our own handsets by SIP, by a modem and on a phone with Termux are real programs that live in real time: what each says in a call of every
//! outcome is heard once ([`spoken`]), and [`kinds`] is the table of what the server makes of it.
//!
//! One test is one cell, `ENGINE::HANDSET::SCENARIO`. To add a scenario: a function in `scenarios.rs`, and its name in the list below.

#![expect(clippy::unwrap_used, reason = "a test that meets something unexpected stops")]

mod app;
mod bench;
#[expect(dead_code, reason = "the tests of pages need more of it")]
#[path = "../page/client.rs"]
mod client;
#[path = "../../../android-protocol/tests/support/fake_phone.rs"]
#[expect(dead_code, reason = "what else a phone can do is tested beside the handset")]
mod fake_phone;
#[expect(dead_code, unused_imports, unused_macros, reason = "the contract tests need more of it")]
#[path = "../contract/harness.rs"]
mod harness;
mod kinds;
mod line;
mod native;
mod scenarios;
mod spoken;
#[path = "../../../android-protocol/tests/support/mod.rs"]
mod support;
mod truth;

/// Makes one test of each scenario.
macro_rules! cells {
    ($kind:ident, $handset:expr, [$($scenario:ident)+]) => {
        $(#[test]
        fn $scenario() {
            let bench = $crate::bench::Bench::new($crate::harness::Kind::$kind, $handset);
            $crate::scenarios::$scenario(bench);
        })+
    };
}

/// Makes the tests of one handset on each engine.
macro_rules! row {
    ($row:ident, $handset:expr) => {
        mod $row {
            mod embedded {
                row!(@scenarios Embedded, $handset);
            }
            mod shared {
                row!(@scenarios Shared, $handset);
            }
        }
    };
    (@scenarios $kind:ident, $handset:expr) => {
        cells!($kind, $handset, [
            the_first_answers
            the_second_answers
            nobody_answers
            somebody_answers_in_the_second_pass
            a_stranger_calls_while_the_first_rings
            cancelled_while_ringing_and_a_new_alarm_five_seconds_later
            answered_and_the_acknowledgement_is_lost
            answered_and_the_report_is_lost
            unanswered_and_the_acknowledgement_is_lost
            unanswered_and_the_report_is_lost
            the_server_is_killed_in_a_call_and_down_for_five_minutes
            the_store_cannot_write_when_the_report_comes
            redeployed_while_idle_and_while_ringing
            two_handsets_and_two_alarms_for_one_engineer
            an_early_nobody_on_one_handset_and_another_one_free
            a_barista_call_for_three_people_with_one_number
            the_first_answer_comes_late_and_the_alarm_is_cancelled
            two_first_answers_come_late
            started_again_five_seconds_into_the_ring
            started_again_fifteen_seconds_into_the_ring
            a_blank_behind_the_address
            the_database_is_away_while_idle_and_in_a_call
        ]);
    };
}

row!(app_1_0, &crate::app::Stock(android_protocol::app::Build::V1_0));
row!(app_25cd829, &crate::app::Stock(android_protocol::app::Build::B25cd829));
row!(app_14558f3, &crate::app::Stock(android_protocol::app::Build::B14558f3));
row!(app_head, &crate::app::Stock(android_protocol::app::Build::Head));
row!(app_head_headless, &crate::app::Stock(android_protocol::app::Build::HeadHeadless));
row!(native_handset, &crate::native::Native);
