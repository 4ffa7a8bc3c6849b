//! The detail record of a call that is over: 29 values in an order of their own.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::reply::Event;
use super::{Birth, Params};

/// The name of its event, with every creator.
pub const EVENT: &str = "sys.on_chan_closed";

/// What is known of a call that is over.
#[derive(Clone, Copy, Debug)]
pub struct Closed<'c> {
    /// Of the call.
    pub birth: &'c Birth,
    /// On which channel of its handset.
    pub channel: i32,
    /// The number shown, or of whoever called.
    pub from: &'c str,
    /// The number called.
    pub to: &'c str,
    /// We called.
    pub outbound: bool,
    /// When it was connected.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: DateTime<Utc>,
    /// Who ended it, where that is known.
    pub ended_by_us: Option<bool>,
    /// The status of SIP.
    pub cause: u16,
    /// The creator's own words.
    pub user_data: Option<&'c str>,
}

impl Closed<'_> {
    /// The event that tells it.
    #[must_use]
    pub fn event(&self) -> Event {
        let mut params = Params::new();
        params.insert("data".to_owned(), Value::Array(self.values()));
        Event { name: EVENT.to_owned(), params }
    }

    fn values(&self) -> Vec<Value> {
        let talk = self.answered_at.map_or(0, |at| (self.ended_at - at).num_seconds().max(0));
        let end_type = match self.ended_by_us {
            Some(true) => 1,
            Some(false) => 2,
            None => 0,
        };
        vec![
            json!(self.id()),                                      // id
            json!("0.0.0"),                                        // nodeid
            json!(self.birth.res_id),                              // cdrid
            json!(self.birth.process_id),                          // processid
            json!(self.birth.res_id),                              // callid
            json!(self.channel),                                   // ch
            json!(format!("0:0:{}", self.channel)),                // devno: switch, board, channel
            json!(self.from),                                      // ani
            json!(self.to),                                        // dnis
            json!(""),                                             // dnis2
            json!(""),                                             // orgcallno
            json!(i32::from(self.outbound)),                       // dir: 0 in, 1 out
            json!(2),                                              // devtype: SIP
            json!(""),                                             // busitype
            json!(i32::from(self.answered_at.is_some())),          // callstatus
            json!(end_type),                                       // endtype: 1 here, 2 there
            json!(0),                                              // ipscreason
            json!(self.cause),                                     // callfailcause
            json!(time(self.birth.at)),                            // callbegintime
            json!(self.answered_at.map(time).unwrap_or_default()), // connectbegintime
            json!(time(self.ended_at)),                            // callendtime
            json!(talk),                                           // talkduration
            json!("sys"),                                          // projectid
            json!("call"),                                         // flowid
            json!(self.birth.res_id),                              // additionalinfo1
            json!(self.user_data.unwrap_or_default()),             // additionalinfo2
            json!(""),                                             // additionalinfo3
            json!(""),                                             // additionalinfo4
            json!(""),                                             // additionalinfo5
        ]
    }

    /// The same call has the same id, whoever makes its record.
    fn id(&self) -> String {
        let digest = Sha256::digest(self.birth.res_id.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

/// In UTC: the record has no place for a zone.
fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
