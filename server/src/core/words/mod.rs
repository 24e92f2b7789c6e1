//! Four-letter words: what monitoring asks for instead of a handshake.

use super::connection::{ConnectionId, Hold};
use super::log::{What, Why};
use super::machine::Core;

/// Every word that is known.
pub const WORDS: [&str; 18] = [
    "ruok", "srvr", "stat", "mntr", "conf", "cons", "dump", "wchs", "wchc", "wchp", "isro", "dirs", "envi",
    "crst", "srst", "gtmk", "hash", "stmk",
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
        let text = if self.words.has(word) {
            String::from("imok")
        } else {
            format!("{word} is not executed because it is not in the whitelist.\n")
        };
        if let Some(connection) = self.connection_mut(id) {
            connection.frame(Hold::No, |out| out.raw(text.as_bytes()));
        }
        self.close(id, Why::Answered);
    }
}
