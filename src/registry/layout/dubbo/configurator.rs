//! Rules on the providers of an interface, as Dubbo's consoles write them: `override://` and `absent://` URLs in `configurators`.
//!
//! Rules of Dubbo 2.7 and later, which stand as YAML in a configuration centre, are not read.

use super::url::DubboUrl;
use crate::registry::address::shorten;
use crate::registry::layout::ReadError;
use crate::registry::model::{Instance, Status};

/// The host that stands for all.
const ANY_HOST: &str = "0.0.0.0";

const ANY: &str = "*";

/// Parameters that say whom a rule is for, or are about the rule itself.
const ABOUT_ITSELF: [&str; 15] = [
    "anyhost",
    "application",
    "category",
    "check",
    "compatible_config",
    "configVersion",
    "dynamic",
    "enabled",
    "group",
    "interface",
    "interfaces",
    "priority",
    "providerAddresses",
    "side",
    "version",
];

/// A rule on the providers of an interface.
///
/// It is for all providers (`0.0.0.0`), for those of one host and port, or for those of one host and any port that it has
/// (`override://10.0.0.5/..`, which Dubbo's consumers take for a rule on *consumers* at that host: such a one is for nobody
/// here). It is for nobody if it says `enabled=false` or is for another side than consumers or another application. Of providers it may
/// ask for a `group`, a `version`, an address among `providerAddresses`, and any parameter, as `~key=value`.
///
/// `weight` becomes the weight and `disabled=true` takes out of service; `dubbo.tag` is the tag. All other parameters become metadata.
/// `absent://` sets what is not there only; a weight of 100, which Dubbo's providers do not write, counts as not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DubboOverride {
    url: DubboUrl,
    is_absent: bool,
    is_ours: bool,
    priority: i32,
}

impl DubboOverride {
    /// Reads the name of a child of `configurators`, for consumers that are of `application`.
    ///
    /// # Errors
    /// [`ReadError::Name`] if it is no URL, or another one.
    pub fn read(name: &str, application: &str) -> Result<Self, ReadError> {
        let url = DubboUrl::decode(name)?;
        let is_absent = match &*url.protocol {
            "override" => false,
            "absent" => true,
            _ => return Err(ReadError::Name { why: "it is no rule on providers" }),
        };
        let parameter = |key: &str| url.parameters.get(key).map_or("", String::as_str);
        let among = |key: &str, ours: &str| ["", ANY, ours].contains(&parameter(key));
        let is_ours = parameter("enabled") != "false"
            && among("side", "consumer")
            && among("application", application)
            && !url.host.is_empty()
            && (url.host == ANY_HOST || url.port.is_some_and(|port| port != 0));
        let priority = parameter("priority").parse().unwrap_or(0);
        Ok(Self { is_absent, is_ours, priority, url })
    }

    /// Whether it is for this provider.
    #[must_use]
    pub fn is_for(&self, provider: &Instance) -> bool {
        let url = &self.url;
        let of_provider = |key: &str| match key {
            "version" => Some(provider.version.as_str()),
            "interface" => Some(provider.service.as_str()),
            _ => provider.metadata.get(key),
        };
        let asked = |(key, value): (&String, &String)| {
            let key = match key.strip_prefix('~') {
                Some(key) => key,
                None if matches!(&**key, "group" | "version") => key,
                None => return true,
            };
            matches!(&**value, "" | ANY) || of_provider(key) == Some(value)
        };
        let address = provider.address.to_string();
        let listed = url.parameters.get("providerAddresses").is_none_or(|list| {
            list.split(',').map(str::trim).any(|one| one == address || one.starts_with(ANY_HOST))
        });
        let port = url.port.filter(|port| *port != 0);
        self.is_ours
            && (url.host == ANY_HOST || url.host == provider.address.host())
            && port.is_none_or(|port| port == provider.address.port())
            && listed
            && url.parameters.iter().all(asked)
            && !planted!("layout_overrides_ignored")
    }

    /// Later ones count more.
    pub(in crate::registry::layout) fn order(&self) -> (bool, i32, &str, Option<u16>) {
        (self.url.host != ANY_HOST, self.priority, &self.url.host, self.url.port)
    }

    /// Changes the provider as the rule says.
    pub(in crate::registry::layout) fn apply(&self, provider: &mut Instance) {
        for (key, value) in &self.url.parameters {
            match &**key {
                "weight" => {
                    let weight = value
                        .parse()
                        .ok()
                        .filter(|_| !self.is_absent || provider.weight == super::interface::WEIGHT);
                    provider.weight = weight.unwrap_or(provider.weight);
                }
                "disabled" if value == "true" => {
                    provider.status = Status::OutOfService;
                    let by = format!("disabled by a rule for {}", shorten(&self.url.host));
                    provider.status_reason.get_or_insert(by);
                }
                "disabled" | "timestamp" | "pid" => {}
                super::interface::TAG if !self.is_absent || provider.tags.is_empty() => {
                    provider.tags = vec![value.clone()];
                }
                super::interface::TAG => {}
                key if key.starts_with(['~'])
                    || key.starts_with("menagerie.")
                    || ABOUT_ITSELF.contains(&key) => {}
                key if self.is_absent => {
                    if !provider.metadata.contains_key(key) {
                        provider.metadata.insert(key, value);
                    }
                }
                key => drop(provider.metadata.insert(key, value)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::url::{Encoder, encode};
    use super::*;
    use crate::registry::layout::Rule;

    fn provider() -> Instance {
        let mut provider = Instance::new("org.x.Demo", "10.0.0.5:20880", "10.0.0.5:20880".parse().unwrap());
        (provider.version, provider.weight) = ("1.0".into(), 100);
        provider.metadata.insert("group", "g");
        provider.metadata.insert("timeout", "1000");
        provider
    }

    fn rule(url: &str) -> DubboOverride {
        DubboOverride::read(&encode(url, Encoder::Java), "menagerie").unwrap()
    }

    fn applied(urls: &[&str]) -> Option<Instance> {
        let rules: Vec<Arc<Rule>> = urls.iter().map(|url| Arc::new(Rule::Override(rule(url)))).collect();
        Rule::applied(&rules, "leaf", &provider())
    }

    /// As dubbo-admin writes them, by the documentation of Dubbo 2.6 on rules (`override://` of the registry).
    #[test]
    fn weights_and_bans_of_the_console_are_applied() {
        let halved = applied(&[
            "override://10.0.0.5:20880/org.x.Demo?category=configurators&dynamic=false&enabled=true&weight=50",
        ]);
        assert_eq!(halved.unwrap().weight, 50);
        let banned = applied(&[
            "override://10.0.0.5:20880/org.x.Demo?category=configurators&dynamic=false&disabled=true",
        ])
        .unwrap();
        assert_eq!(
            (banned.status, banned.status_reason.as_deref()),
            (Status::OutOfService, Some("disabled by a rule for 10.0.0.5"))
        );
        let slower = applied(&[
            "override://0.0.0.0/org.x.Demo?category=configurators&dynamic=false&application=menagerie&timeout=5000",
        ]);
        assert_eq!(slower.unwrap().metadata.get("timeout"), Some("5000"));
        let tagged = applied(&["override://0.0.0.0/org.x.Demo?dubbo.tag=blue"]).unwrap();
        assert_eq!((tagged.tags.len(), tagged.metadata.len()), (1, 2));
    }

    #[test]
    fn a_rule_is_for_whom_it_says() {
        for (url, is_for) in [
            ("override://0.0.0.0/org.x.Demo?weight=7", true),
            ("override://0.0.0.0:20880/org.x.Demo?weight=7", true),
            ("override://0.0.0.0:20881/org.x.Demo?weight=7", false),
            ("override://10.0.0.5:20880/org.x.Demo?weight=7", true),
            ("override://10.0.0.5:1/org.x.Demo?weight=7", false),
            ("override://10.0.0.6:20880/org.x.Demo?weight=7", false),
            ("override://10.0.0.5/org.x.Demo?weight=7", false),
            ("override://0.0.0.0/org.x.Demo?weight=7&enabled=false", false),
            ("override://0.0.0.0/org.x.Demo?weight=7&application=*", true),
            ("override://0.0.0.0/org.x.Demo?weight=7&application=other", false),
            ("override://0.0.0.0/org.x.Demo?weight=7&side=provider", false),
            ("override://0.0.0.0/org.x.Demo?weight=7&side=consumer&version=1.0&group=g", true),
            ("override://0.0.0.0/org.x.Demo?weight=7&version=2.0", false),
            ("override://0.0.0.0/org.x.Demo?weight=7&group=h", false),
            ("override://0.0.0.0/org.x.Demo?weight=7&~timeout=1000", true),
            ("override://0.0.0.0/org.x.Demo?weight=7&~timeout=2000", false),
            ("override://0.0.0.0/org.x.Demo?weight=7&providerAddresses=h:1,10.0.0.5:20880", true),
            ("override://0.0.0.0/org.x.Demo?weight=7&providerAddresses=h:1", false),
        ] {
            assert_eq!(rule(url).is_for(&provider()), is_for, "{url}");
            assert_eq!(applied(&[url]).is_some(), is_for, "{url}");
        }
        for other in [
            "route://0.0.0.0/org.x.Demo?rule=x",
            "condition://0.0.0.0/x",
            "empty://0.0.0.0/x",
            "dubbo://h:1/x",
        ] {
            let refused = DubboOverride::read(&encode(other, Encoder::Go), "menagerie").unwrap_err();
            assert_eq!(refused, ReadError::Name { why: "it is no rule on providers" }, "{other}");
        }
    }

    #[test]
    fn the_last_one_counts_and_absent_changes_nothing_that_is_there() {
        let all = "override://0.0.0.0/org.x.Demo?weight=1&timeout=1";
        let one = "override://10.0.0.5:20880/org.x.Demo?weight=2";
        let high = "override://0.0.0.0/org.x.Demo?weight=3&priority=5";
        for urls in [[all, one, high], [one, high, all], [high, all, one]] {
            assert_eq!(applied(&urls).unwrap().weight, 2);
        }
        assert_eq!(applied(&[high, all]).unwrap().weight, 3);
        let absent =
            applied(&["absent://0.0.0.0/org.x.Demo?weight=9&timeout=9&retries=9&dubbo.tag=t"]).unwrap();
        assert_eq!(
            (absent.weight, absent.metadata.get("timeout").unwrap(), absent.metadata.get("retries").unwrap()),
            (9, "1000", "9")
        );
        assert_eq!(applied(&[all, "absent://0.0.0.0/org.x.Demo?weight=9"]).unwrap().weight, 1);
        assert_eq!(applied(&["override://0.0.0.0/org.x.Demo?weight=x&version=1.0&menagerie.id=x"]), None);
    }
}
