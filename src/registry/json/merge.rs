//! Changing a value that another program wrote, and nothing else in it.

use std::borrow::Cow;

use super::Json;

impl<'a> Json<'a> {
    /// Changes in this value what differs between `was` and `now`: what a schema made of it when it was read, and what it
    /// makes of it now. What the schema does not know is in neither, and stays.
    pub(crate) fn merge(&mut self, was: &Self, now: &Self) {
        if was == now {
            return;
        }
        match (&*self, was, now) {
            (Self::Object(_), Self::Object(old), Self::Object(new))
                if !planted!("registry_unknown_dropped") =>
            {
                for (name, value) in new {
                    self.merge_member(name.clone(), was.exact(name), value);
                }
                for (name, _) in old.iter().filter(|(name, _)| now.exact(name).is_none()) {
                    self.remove(name);
                }
            }
            _ => *self = now.clone(),
        }
    }

    fn merge_member(&mut self, name: Cow<'a, str>, was: Option<&Self>, now: &Self) {
        let Self::Object(members) = self else { return };
        let member = members.iter_mut().rfind(|(key, _)| *key == name);
        match (member, was) {
            (Some((_, member)), Some(was)) => member.merge(was, now),
            (None, Some(was)) if was == now => {}
            (Some((_, member)), None) => *member = now.clone(),
            (None, _) => members.push((name, now.clone())),
        }
    }

    fn remove(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.retain(|(key, _)| key != name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json<'_> {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_differs_is_changed() {
        for (read, was, now, merged) in [
            (r#"{"x":1,"a":1.0}"#, r#"{"a":1}"#, r#"{"a":1}"#, r#"{"x":1,"a":1.0}"#),
            (r#"{"x":1,"a":1.0,"b":0}"#, r#"{"a":1,"b":0}"#, r#"{"a":2,"b":0}"#, r#"{"x":1,"a":2,"b":0}"#),
            (
                r#"{"m":{"x":[],"k":"v"}}"#,
                r#"{"m":{"k":"v"}}"#,
                r#"{"m":{"K":"w"}}"#,
                r#"{"m":{"x":[],"K":"w"}}"#,
            ),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, r#"{"a":3}"#, r#"{"a":1,"a":3}"#),
            (r#"{"x":0}"#, r#"{"e":false}"#, r#"{"e":true}"#, r#"{"x":0,"e":true}"#),
            (r#"{"x":0}"#, r#"{"e":false}"#, r#"{"e":false,"f":1}"#, r#"{"x":0,"f":1}"#),
            (r#"{"a":null}"#, r#"{"a":null}"#, r#"{"a":{"k":"v"}}"#, r#"{"a":{"k":"v"}}"#),
        ] {
            let mut value = json(read);
            value.merge(&json(was), &json(now));
            assert_eq!(value, json(merged), "{read} {was} {now}");
        }
    }
}
