//! Battery, SIM card and signal, as the commands of Termux:API print them.

use serde_json::Value;

use crate::wire::{Sim, Status};

/// Adds what `termux-battery-status` printed.
pub fn battery(status: &mut Status, printed: &Value) {
    let level = printed.get("percentage").or_else(|| printed.get("level")).and_then(Value::as_f64);
    status.battery =
        level.filter(|level| (0.0..=100.0).contains(level)).and_then(rounded).and_then(|level| u8::try_from(level).ok());
    let word = |key: &str| printed.get(key).and_then(Value::as_str).map(str::to_ascii_uppercase);
    status.charging = match (word("plugged"), word("status")) {
        (Some(plugged), _) => Some(plugged != "UNPLUGGED"),
        (None, Some(word)) => Some(word == "CHARGING" || word == "FULL"),
        (None, None) => None,
    };
}

/// Adds what `termux-telephony-deviceinfo` printed; whether there is a SIM card that may call, and if not, why.
///
/// # Errors
///
/// In one sentence what is wrong with the SIM card.
pub fn device(status: &mut Status, printed: &Value) -> Result<(), String> {
    let word = |key: &str| printed.get(key).and_then(Value::as_str).map(str::trim).filter(|word| !word.is_empty());
    let operator = word("sim_operator_name").map(str::to_owned);
    let radio = word("network_type").filter(|kind| !kind.eq_ignore_ascii_case("unknown"));
    status.network = match (word("network_operator_name"), radio) {
        (Some(name), Some(radio)) => Some(format!("{name} {}", radio.to_uppercase())),
        (Some(name), None) => Some(name.to_owned()),
        (None, radio) => radio.map(str::to_uppercase),
    };
    let state = word("sim_state").map(str::to_ascii_lowercase);
    if let Some(operator) = operator {
        status.sims = vec![Sim { operator: Some(operator), ..Sim::default() }];
    }
    match state.as_deref() {
        Some("absent") => Err("there is no SIM card in the phone".into()),
        Some("pin_required" | "puk_required" | "network_locked") => {
            Err("the SIM card is locked: unlock the phone, and turn the SIM's PIN off so that it works after a restart".into())
        }
        _ => Ok(()),
    }
}

/// Adds what `termux-telephony-cellinfo` printed: the signal of the cell in which the phone is registered.
pub fn cells(status: &mut Status, printed: &Value) {
    let cells = printed.as_array().map(Vec::as_slice).unwrap_or_default();
    let dbm = |cell: &Value| {
        let dbm = cell.get("dbm").and_then(Value::as_i64).and_then(|dbm| i32::try_from(dbm).ok());
        // Android's word for "not known" is the largest number there is.
        dbm.filter(|dbm| (-160..=-20).contains(dbm))
    };
    let registered = |cell: &&Value| cell.get("registered").and_then(Value::as_bool) == Some(true);
    status.signal_dbm = cells.iter().filter(registered).filter_map(dbm).max();
}

fn rounded(value: f64) -> Option<i64> {
    format!("{value:.0}").parse().ok()
}

/// The number before the first dot of `ro.build.version.release`.
#[must_use]
pub fn android(printed: &str) -> Option<u32> {
    let digits: String = printed.trim().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn battery_sim_and_signal() {
        let mut status = Status::default();
        battery(
            &mut status,
            &json!({"present":true,"health":"GOOD","plugged":"PLUGGED_AC","status":"CHARGING","temperature":29.4,"percentage":83,"level":83,"scale":100}),
        );
        let said = device(
            &mut status,
            &json!({"phone_count":2,"device_id":null,"network_operator_name":"Operator","network_type":"lte","network_roaming":false,"sim_state":"ready","sim_operator_name":"Operator"}),
        );
        cells(
            &mut status,
            &json!([
                {"type":"lte","registered":false,"asu":60,"dbm":-70,"level":4},
                {"type":"lte","registered":true,"asu":44,"dbm":-96,"level":3},
                {"type":"nr","registered":true,"dbm":2_147_483_647},
            ]),
        );
        assert_eq!(said, Ok(()));
        assert_eq!((status.battery, status.charging, status.signal_dbm), (Some(83), Some(true), Some(-96)));
        assert_eq!(status.network.as_deref(), Some("Operator LTE"));
        assert_eq!(status.sims.len(), 1);
    }

    #[test]
    fn what_is_missing_is_left_out_and_a_sim_that_cannot_call_is_named() {
        let mut status = Status::default();
        battery(&mut status, &json!({"percentage": -1, "status": "DISCHARGING"}));
        assert_eq!((status.battery, status.charging), (None, Some(false)));
        battery(&mut status, &json!([]));
        cells(&mut status, &json!({}));
        assert_eq!(status, Status::default());
        for (state, word) in [("absent", "no SIM"), ("pin_required", "locked"), ("PUK_REQUIRED", "locked")] {
            assert!(device(&mut status, &json!({"sim_state": state})).is_err_and(|why| why.contains(word)));
        }
        assert_eq!((android("14\n"), android("8.1.0"), android("UpsideDownCake"), android("")), (Some(14), Some(8), None, None));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String, number: f64) {
            let mut status = Status::default();
            let value = json!({"percentage": number, "plugged": text, "sim_state": text, "network_type": text, "dbm": number});
            battery(&mut status, &value);
            let _ = device(&mut status, &value);
            cells(&mut status, &json!([value]));
            let _ = android(&text);
        }
    }
}
