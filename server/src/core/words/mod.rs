//! Four-letter words: what monitoring asks for instead of a handshake, in the shapes that it parses.
//!
//! The core executes a request as it comes in, so latencies are 0 and nothing is ever queued; what only an operating system or a
//! Java machine could tell is `-1` or `<NA>`.

mod connections;
mod date;
mod numbers;

use super::Like;
use super::connection::ConnectionId;
use super::log::{What, Why};
use super::machine::{Core, Totals};

/// Every word that is known.
pub const WORDS: [&str; 17] = [
    "ruok", "srvr", "stat", "mntr", "conf", "cons", "dump", "wchs", "wchc", "wchp", "isro", "dirs", "envi",
    "crst", "srst", "gtmk", "hash",
];

/// Which words are answered; the others are told that they are not in the whitelist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed(Vec<&'static str>);

impl Allowed {
    /// All that are known.
    #[must_use]
    pub fn all() -> Self {
        Self(WORDS.to_vec())
    }

    /// These; what is not known is left out.
    pub fn only<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let named: Vec<_> = words.into_iter().collect();
        Self(WORDS.into_iter().filter(|word| named.contains(word)).collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }
}

/// The word that these bytes are, if they are one.
pub(super) fn known(bytes: &[u8]) -> Option<&'static str> {
    WORDS.into_iter().find(|word| word.as_bytes() == bytes)
}

impl Core {
    pub(super) fn answer_word(&mut self, id: ConnectionId, word: &'static str) {
        self.note(Some(id), 0, What::Word(word));
        self.totals.received += 1;
        if let Some(connection) = self.connection_mut(id) {
            connection.tally.received += 1;
            connection.tally.is_word = true;
        }
        let unknown =
            word == "dirs" && self.rules.like == Like::V3_4 || word == "hash" && self.rules.like < Like::V3_8;
        let text = if unknown {
            String::new()
        } else if self.words.has(word) || planted!("server_words_unlisted") {
            self.word(word)
        } else {
            format!("{word} is not executed because it is not in the whitelist.\n")
        };
        if let Some(connection) = self.connection_mut(id) {
            connection.raw(text.as_bytes());
        }
        self.close(id, Why::Answered);
    }

    fn word(&mut self, word: &str) -> String {
        match word {
            "ruok" => String::from("imok"),
            "isro" => String::from(if self.read_only { "ro" } else { "rw" }),
            "gtmk" => String::from("306"),
            "srvr" => self.srvr(),
            "stat" => self.stat(),
            "mntr" => self.mntr(),
            "conf" => self.conf(),
            "envi" => self.envi(),
            "cons" => self.cons(),
            "dump" => self.dump(),
            "wchs" => self.wchs(),
            "wchc" => self.wchc(),
            "wchp" => self.wchp(),
            "dirs" => String::from("datadir_size: 0\nlogdir_size: 0\n"),
            "srst" => {
                self.totals = Totals::default();
                String::from("Server stats reset.\n")
            }
            "crst" => {
                self.reset_tallies();
                String::from("Connection stats reset.\n")
            }
            // `hash`: no digests are kept.
            _ => String::new(),
        }
    }

    /// The version that is imitated, and by whom.
    fn version(&self) -> &'static str {
        match self.rules.like {
            Like::V3_4 => "3.4.14-menagerie, built on 01/01/2026 00:00 GMT",
            Like::V3_5 => "3.5.10-menagerie, built on 01/01/2026 00:00 GMT",
            Like::V3_8 => "3.8.0-menagerie, built on 2026-01-01 00:00 UTC",
            Like::V3_9 | Like::Keeper => "3.9.3-menagerie, built on 2026-01-01 00:00 UTC",
        }
    }

    /// Least, mean and greatest latency: there is none. The mean has decimals from 3.6 on.
    fn latency(&self) -> &'static str {
        if self.rules.like < Like::V3_8 { "0/0/0" } else { "0/0.0/0" }
    }
}
