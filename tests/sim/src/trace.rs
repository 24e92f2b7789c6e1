//! What happened, as one number, and as lines for people when asked for.

use std::collections::BTreeSet;

/// The number, and the lines.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: Vec<String>,
    most: usize,
}

impl Trace {
    /// Shows so many lines; with 0, none are kept.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: Vec::new(), most }
    }

    /// Mixes a number in.
    pub fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    /// Whether lines are kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.most > 0
    }

    /// A line.
    pub fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// What everything comes to.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines; before them, if something is wrong, the last of those that concern whom that names.
    #[must_use]
    pub fn text(&self, wrong: Option<&str>) -> String {
        let last = self.lines.len().saturating_sub(self.most);
        let mut text = String::new();
        if let Some(wrong) = wrong.filter(|_| self.is_on()) {
            let named: BTreeSet<String> = words(wrong).collect();
            let earlier = self.lines.iter().take(last);
            let concerned: Vec<&String> =
                earlier.filter(|line| words(line).any(|word| named.contains(&word))).collect();
            let skipped = concerned.len().saturating_sub(self.most);
            text.push_str(&format!("what concerns it ({} lines before these):\n", skipped));
            concerned.iter().skip(skipped).for_each(|line| text.extend([line.as_str(), "\n"]));
            text.push_str("everything, up to the end:\n");
        }
        self.lines.iter().skip(last).for_each(|line| text.extend([line.as_str(), "\n"]));
        text
    }
}

/// The clients, requests, sessions, zxids and paths that a line names. A client is `c3`, or `client 3` in words.
fn words(line: &str) -> impl Iterator<Item = String> + '_ {
    let strip = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/').to_owned();
    let mut before = String::new();
    line.split_whitespace().filter_map(move |word| {
        let word = strip(word);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_client = before == "client" && is_number(&word);
        let names = word.starts_with("0x")
            || (word.starts_with('/') && word.len() > 1)
            || word.strip_prefix(['c', 't']).is_some_and(is_number);
        before.clone_from(&word);
        if is_client { Some(format!("c{word}")) } else { names.then_some(word) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_a_violation_stands_first_however_long_ago_it_was() {
        let mut trace = Trace::new(2);
        for line in
            ["1 c3    t7 SET_DATA /a", "2 c30    t8", "3 log /a/b", "4 log   0x5 t7", "5 c1    t9", "6 end"]
        {
            trace.line(line.to_owned());
        }
        assert_eq!(trace.text(None), "5 c1    t9\n6 end\n");
        let text = trace.text(Some("at 6.0 s: client 3: t9, /a/b is wrong"));
        let expected = ["1 c3    t7 SET_DATA /a", "3 log /a/b", "5 c1    t9", "6 end"];
        assert_eq!(text.lines().filter(|line| !line.ends_with(':')).collect::<Vec<_>>(), expected);
        assert!(text.contains("(0 lines before these)"), "{text}");
    }
}
