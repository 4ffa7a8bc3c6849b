//! Session descriptions: what sound is offered, and where it goes.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::voice::g711::Law;

/// The payload type under which we offer telephone events.
pub const EVENT: u8 = 101;

/// Whether sound flows, as seen from whoever wrote the description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// They only send: we are on hold, and hear their music.
    SendOnly,
    /// They only listen.
    ReceiveOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Both => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The answer to it.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            other => other,
        }
    }
}

/// What the peer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// Where sound goes.
    pub address: SocketAddr,
    /// The first of the peer's laws that we speak.
    pub law: Law,
    /// The peer's payload type for telephone events.
    pub event: Option<u8>,
    /// Whether sound flows.
    pub direction: Direction,
}

/// Why no sound can be exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SdpError {
    /// No line for sound, or a refused one.
    #[error("the session description has no sound")]
    NoAudio,
    /// No address, or a name in place of one.
    #[error("the session description has no address for its sound")]
    NoAddress,
    /// Neither PCMU nor PCMA, or not plain RTP.
    #[error("the peer speaks neither PCMU nor PCMA")]
    NoLaw,
}

/// Our description: both laws, or the one that was agreed on, and telephone events under this number, where they are spoken of.
#[must_use]
pub fn write(address: SocketAddr, version: u32, agreed: Option<Law>, event: Option<u8>, direction: Direction) -> String {
    let laws: Vec<Law> = agreed.map_or_else(|| Law::ALL.to_vec(), |law| vec![law]);
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let (host, port) = (address.ip(), address.port());
    let numbers: Vec<String> = laws.iter().map(|law| law.payload_type()).chain(event).map(|number| number.to_string()).collect();
    let maps: String = laws.iter().map(|law| format!("a=rtpmap:{} {}/8000\r\n", law.payload_type(), law.as_str())).collect();
    let events = event.map_or(String::new(), |event| format!("a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n"));
    format!(
        "v=0\r\no=- {port} {version} IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {}\r\n{maps}{events}a=ptime:20\r\na={}\r\n",
        numbers.join(" "),
        direction.as_str()
    )
}

/// The laws that the peer and we speak, in the peer's order; none where there is no sound.
#[must_use]
pub fn laws(description: &str) -> Vec<Law> {
    let sound = description.lines().map(str::trim).find_map(|line| Audio::begin(line.strip_prefix("m=")?));
    let numbers = sound.map(|audio| audio.numbers).unwrap_or_default();
    numbers.into_iter().filter_map(Law::of_payload_type).collect()
}

/// Reads the peer's description.
///
/// # Errors
///
/// Says why there can be no sound.
pub fn read(description: &str) -> Result<Media, SdpError> {
    let mut session_address = None;
    let mut session_direction = None;
    let mut audio: Option<Audio> = None;
    for line in description.lines().map(str::trim) {
        if let Some(media) = line.strip_prefix("m=") {
            // Only the first line for sound counts.
            match (&audio, Audio::begin(media)) {
                (Some(_), _) => break,
                (None, Some(begun)) => audio = Some(begun),
                // Something else first, such as video: what follows is its own.
                (None, None) => audio = None,
            }
        } else if let Some(connection) = line.strip_prefix("c=") {
            let address = connection.split_whitespace().nth(2).and_then(|host| host.split('/').next()?.parse().ok());
            match &mut audio {
                Some(audio) => audio.address = address,
                None => session_address = session_address.or(address),
            }
        } else if let Some(attribute) = line.strip_prefix("a=") {
            let direction = match attribute {
                "sendrecv" => Some(Direction::Both),
                "sendonly" => Some(Direction::SendOnly),
                "recvonly" => Some(Direction::ReceiveOnly),
                "inactive" => Some(Direction::Inactive),
                _ => None,
            };
            match &mut audio {
                Some(audio) => {
                    audio.direction = direction.or(audio.direction);
                    audio.map(attribute);
                }
                None => session_direction = direction.or(session_direction),
            }
        }
    }
    let audio = audio.filter(|audio| audio.port != 0).ok_or(SdpError::NoAudio)?;
    let law = audio.law().ok_or(SdpError::NoLaw)?;
    let ip: IpAddr = audio.address.or(session_address).ok_or(SdpError::NoAddress)?;
    let mut direction = audio.direction.or(session_direction).unwrap_or_default();
    if ip.is_unspecified() {
        // The old way to put somebody on hold.
        direction = if direction == Direction::Both { Direction::SendOnly } else { direction };
    }
    Ok(Media { address: SocketAddr::new(ip, audio.port), law, event: audio.event(), direction })
}

/// The line for sound and what belongs to it.
struct Audio {
    port: u16,
    plain: bool,
    /// In the peer's order.
    numbers: Vec<u8>,
    names: Vec<(u8, String)>,
    address: Option<IpAddr>,
    direction: Option<Direction>,
}

impl Audio {
    fn begin(media: &str) -> Option<Self> {
        let mut words = media.split_whitespace();
        (words.next() == Some("audio")).then_some(())?;
        let port = words.next()?.split('/').next()?.parse().ok()?;
        let plain = matches!(words.next(), Some("RTP/AVP" | "RTP/AVPF"));
        let numbers = words.filter_map(|number| number.parse().ok()).collect();
        Some(Self { port, plain, numbers, names: Vec::new(), address: None, direction: None })
    }

    fn map(&mut self, attribute: &str) {
        if let Some((number, name)) = attribute.strip_prefix("rtpmap:").and_then(|map| map.split_once(' '))
            && let Ok(number) = number.trim().parse()
        {
            self.names.push((number, name.trim().to_ascii_lowercase()));
        }
    }

    fn law(&self) -> Option<Law> {
        // The fixed numbers need no name; some give a law another number all the same, which we do not follow.
        self.numbers.iter().filter(|_| self.plain).find_map(|number| Law::of_payload_type(*number))
    }

    fn event(&self) -> Option<u8> {
        let listed = |number: &u8| self.numbers.contains(number);
        self.names
            .iter()
            .find(|(number, name)| listed(number) && name.starts_with("telephone-event/8000"))
            .map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    fn description(media: &str) -> String {
        format!("v=0\r\no=x 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}")
    }

    #[test]
    fn what_we_write_we_read() {
        let address: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        let offer = write(address, 1, None, Some(EVENT), Direction::Both);
        assert_eq!(read(&offer), Ok(Media { address, law: Law::Pcma, event: Some(101), direction: Direction::Both }));
        assert!(offer.contains("m=audio 4000 RTP/AVP 8 0 101\r\n"), "{offer}");
        let answer = write("[2001:db8::1]:6".parse().unwrap(), 2, Some(Law::Pcmu), Some(96), Direction::ReceiveOnly);
        let read = read(&answer).unwrap();
        assert_eq!(
            (read.law, read.event, read.direction, read.address.is_ipv6()),
            (Law::Pcmu, Some(96), Direction::ReceiveOnly, true)
        );
    }

    #[test]
    fn the_peers_choice_and_the_addresses_of_its_media() {
        let media = read(&description(
            "m=audio 5004 RTP/AVP 0 96\r\nc=IN IP4 192.0.2.9\r\na=rtpmap:96 telephone-event/8000\r\na=sendonly\r\nm=video 6 RTP/AVP 31\r\nc=IN IP4 192.0.2.66\r\na=inactive\r\n",
        ))
        .unwrap();
        assert_eq!(
            media,
            Media { address: "192.0.2.9:5004".parse().unwrap(), law: Law::Pcmu, event: Some(96), direction: Direction::SendOnly }
        );
        // Video before sound, which has no address of its own.
        let media = read(&description("m=video 6 RTP/AVP 31\r\nm=audio 5004 RTP/AVP 18 8\r\n")).unwrap();
        assert_eq!((media.address.to_string().as_str(), media.law, media.event), ("192.0.2.1:5004", Law::Pcma, None));
        // Hold as it was done before there were directions.
        let held = "v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 5004 RTP/AVP 8\r\n";
        assert_eq!(read(held).unwrap().direction.mirrored(), Direction::ReceiveOnly);
    }

    #[test]
    fn no_sound_says_why() {
        assert_eq!(read("hello"), Err(SdpError::NoAudio));
        assert_eq!(read(&description("")), Err(SdpError::NoAudio));
        assert_eq!(read(&description("m=audio 0 RTP/AVP 8\r\n")), Err(SdpError::NoAudio));
        assert_eq!(read(&description("m=audio 5004 RTP/AVP 18 101\r\na=rtpmap:18 G729/8000\r\n")), Err(SdpError::NoLaw));
        assert_eq!(read(&description("m=audio 5004 RTP/SAVP 8\r\n")), Err(SdpError::NoLaw));
        assert_eq!(read("c=IN IP4 host.example\r\nm=audio 5004 RTP/AVP 8\r\n"), Err(SdpError::NoAddress));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, lines in proptest::collection::vec("[vcma]=(audio|IN IP4|rtpmap:|[0-9 ./:]){0,6}", 0..12)) {
            let _ = read(&text);
            let _ = read(&lines.join("\r\n"));
        }
    }
}
