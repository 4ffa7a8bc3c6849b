//! The talk with one modem over its port.

use std::{collections::VecDeque, io, time::Duration};

use super::{clock::Pace, port::Port};
use crate::modem::{
    event::Event,
    exchange::{Answer, Command, ESCAPE, Exchange, SEND, Said, is_a_modems},
};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The modem is silent.
    Silent,
    /// The port is gone.
    Gone(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(why: io::Error) -> Self {
        Self::Gone(why)
    }
}

/// A port, and what was said there.
pub(super) struct Talk {
    port: Port,
    exchange: Exchange,
    news: VecDeque<Event>,
    pace: Pace,
    /// The last command had no answer: it may still come, and must not be taken for that of the next one.
    owes: bool,
    /// Lines came that no modem says.
    garbled: bool,
}

impl Talk {
    pub(super) fn new(port: Port, pace: Pace) -> Self {
        Self { port, exchange: Exchange::default(), news: VecDeque::new(), pace, owes: false, garbled: false }
    }

    /// What the modem said by itself, oldest first.
    pub(super) fn news(&mut self) -> Option<Event> {
        self.news.pop_front()
    }

    /// Whether something came that no modem says.
    pub(super) fn is_garbled(&self) -> bool {
        self.garbled || self.exchange.is_garbled()
    }

    /// Waits until the modem says something.
    pub(super) async fn listen(&mut self) -> Result<(), Trouble> {
        let said = self.hear().await?;
        self.keep(said);
        Ok(())
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&mut self, command: Command) -> Result<Answer, Trouble> {
        if std::mem::take(&mut self.owes) {
            self.settle().await?;
        }
        let deadline = self.pace.deadline(command.timeout);
        let message = command.message.clone();
        let bytes = self.exchange.send(command);
        self.port.write_all(&bytes).await?;
        loop {
            let heard = tokio::select! {
                heard = self.hear() => heard?,
                () = tokio::time::sleep_until(deadline) => {
                    self.exchange.give_up();
                    self.owes = true;
                    if message.is_some() {
                        self.escape().await?;
                    }
                    return Err(Trouble::Silent);
                }
            };
            let mut answered = None;
            for said in heard {
                match said {
                    // What came in the same moment behind it is news like any other.
                    Said::Answer(answer) => answered = Some(answer),
                    Said::Prompt => {
                        let mut bytes = message.clone().unwrap_or_default().into_bytes();
                        bytes.push(SEND);
                        self.port.write_all(&bytes).await?;
                    }
                    said => self.keep(vec![said]),
                }
            }
            if let Some(answer) = answered {
                return Ok(answer);
            }
        }
    }

    /// Gives up a message for which the modem may be waiting.
    pub(super) async fn escape(&mut self) -> Result<(), Trouble> {
        Ok(self.port.write_all(&[ESCAPE]).await?)
    }

    /// Sends a command to a modem that does not answer, without waiting for anything.
    pub(super) async fn shout(&mut self, text: &str) -> Result<(), Trouble> {
        Ok(self.port.write_all(format!("{text}\r").as_bytes()).await?)
    }

    /// Asks only whether somebody is there, until the answers that are still on their way have come.
    async fn settle(&mut self) -> Result<(), Trouble> {
        let bytes = self.exchange.send(Command::new("AT"));
        self.port.write_all(&bytes).await?;
        let deadline = self.pace.deadline(Duration::from_secs(5));
        let mut quiet = deadline;
        let mut answered = false;
        loop {
            tokio::select! {
                heard = self.hear() => {
                    let heard = heard?;
                    answered |= heard.iter().any(|said| matches!(said, Said::Answer(_)));
                    self.keep(heard);
                    // Nothing for a moment: nothing more is on its way.
                    quiet = self.pace.deadline(Duration::from_millis(500)).min(deadline);
                }
                () = tokio::time::sleep_until(if answered { quiet } else { deadline }) => {
                    self.exchange.give_up();
                    self.owes = !answered;
                    return if answered { Ok(()) } else { Err(Trouble::Silent) };
                }
            }
        }
    }

    async fn hear(&mut self) -> Result<Vec<Said>, Trouble> {
        let mut buffer = [0; 512];
        let read = self.port.read(&mut buffer).await?;
        Ok(self.exchange.hear(buffer.get(..read).unwrap_or_default()))
    }

    fn keep(&mut self, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Event(event) => self.news.push_back(event),
                Said::Noise(line) => {
                    self.garbled |= !is_a_modems(&line);
                    tracing::debug!(bytes = line.len(), "the modem says something unknown");
                }
                Said::Answer(_) | Said::Prompt => {}
            }
        }
    }
}
