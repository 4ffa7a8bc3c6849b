//! What becomes of what is asked for of a room: told in the name of the call that asked, kept where it is a recording.

use tokio::sync::mpsc;

use crate::{
    live::LiveWord,
    sip::{
        call::pcm,
        channel::{Bench, short},
    },
    voice::room::{By, RoomNews},
};

impl Bench {
    /// Sees to the news of rooms, for ever.
    pub async fn see_to_rooms(self, mut told: mpsc::UnboundedReceiver<RoomNews>) {
        while let Some(news) = told.recv().await {
            let (By { mid, ack }, word, value) = match news {
                RoomNews::Begun(by) => (by, LiveWord::Playing, None),
                RoomNews::Played(by) => (by, LiveWord::Played, None),
                RoomNews::Stopped(by) => (by, LiveWord::Stopped, None),
                RoomNews::Recorded(by, samples) => {
                    let (word, value) = self.keep_room(&by.mid, samples).await;
                    (by, word, Some(value))
                }
            };
            let recorded = word == LiveWord::Recording;
            self.live.tell_of(&mid, ack, word, value);
            if recorded {
                self.upload_when_told();
            }
            self.live.seen_to();
        }
    }

    async fn keep_room(&self, mid: &str, samples: Vec<i16>) -> (LiveWord, String) {
        if samples.is_empty() {
            return (LiveWord::Error, "too_late".to_owned());
        }
        match self.recordings.keep(mid, pcm(samples)).await {
            Ok(recording) => (LiveWord::Recording, recording.id),
            Err(why) => {
                self.say(&format!("a recording of a room of {} is lost: {why}", short(mid)));
                (LiveWord::Error, "media".to_owned())
            }
        }
    }

    /// A recording that an event has named may be uploaded when the server has that: its call may last for hours.
    pub(in crate::sip) fn upload_when_told(&self) {
        let (live, recordings) = (self.live.clone(), self.recordings.clone());
        tokio::spawn(async move {
            live.events_told().await;
            recordings.reported();
        });
    }
}
