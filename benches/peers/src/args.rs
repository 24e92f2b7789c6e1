//! `--name value` and `--flag` on the command line; anything else is an error that names it.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// The options of one invocation.
#[derive(Debug)]
pub struct Args {
    values: BTreeMap<String, String>,
    flags: Vec<String>,
}

impl Args {
    /// The process's own command line.
    ///
    /// # Errors
    /// As [`Args::parse`].
    pub fn from_env(values: &[&str], flags: &[&str]) -> Result<Self> {
        Self::parse(std::env::args().skip(1), values, flags)
    }

    /// Reads `words`, of which `values` take a value and `flags` do not.
    ///
    /// # Errors
    /// An unknown option, one given twice, or one without its value.
    pub fn parse(words: impl IntoIterator<Item = String>, values: &[&str], flags: &[&str]) -> Result<Self> {
        let mut found = Self { values: BTreeMap::new(), flags: Vec::new() };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if flags.contains(&word.as_str()) {
                found.flags.push(word);
            } else if values.contains(&word.as_str()) {
                let value = words.next().with_context(|| format!("{word} needs a value"))?;
                if found.values.insert(word.clone(), value).is_some() {
                    bail!("{word} is given twice");
                }
            } else {
                bail!("unknown option {word}; known: {} {}", values.join(" "), flags.join(" "));
            }
        }
        Ok(found)
    }

    /// Whether a flag is set.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The value of an option, if it is given.
    ///
    /// # Errors
    /// A value that does not read as a `T`.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(text) = self.values.get(name) else { return Ok(None) };
        text.parse().map(Some).with_context(|| format!("{name} {text}"))
    }

    /// The value of an option that has no default.
    ///
    /// # Errors
    /// A missing value, or one that does not read as a `T`.
    pub fn need<T: FromStr>(&self, name: &str) -> Result<T>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        self.get(name)?.with_context(|| format!("{name} is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn parse(words: &[&str]) -> anyhow::Result<Args> {
        Args::parse(words.iter().map(|word| (*word).to_owned()), &["--ops"], &["--smoke"])
    }

    #[test]
    fn reads_values_and_flags() {
        let args = parse(&["--smoke", "--ops", "7"]).unwrap();
        assert!(args.has("--smoke"));
        assert_eq!(args.need::<u64>("--ops").unwrap(), 7);
    }

    #[test]
    fn names_what_it_does_not_understand() {
        for (words, named) in [
            (&["--opps", "7"][..], "--opps"),
            (&["--ops"], "--ops needs a value"),
            (&["--ops", "1", "--ops", "2"], "twice"),
        ] {
            let error = format!("{:#}", parse(words).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
        let error = format!("{:#}", parse(&["--ops", "many"]).unwrap().need::<u64>("--ops").unwrap_err());
        assert!(error.contains("--ops many"), "{error}");
    }
}
