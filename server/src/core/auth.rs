//! From credentials to identities: what an auth packet adds to its connection.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::rules::Rules;
use crate::jute::Id;

/// The identities that these credentials add to a connection; `None` if they are refused, which ends it.
///
/// The scheme `digest` takes any credentials: what they are good for, the lists say. `ip` adds nothing, since every
/// connection has that identity from its begin.
#[must_use]
pub fn authenticate(rules: &Rules, scheme: &str, credentials: &[u8]) -> Option<Vec<Id>> {
    match scheme {
        "ip" => Some(Vec::new()),
        "digest" => {
            let id = digest_id(credentials);
            let is_super = rules.super_digest.as_deref().is_some_and(|digest| id.id == *digest);
            let above = is_super.then(|| identity("super", String::new()));
            Some(above.into_iter().chain([id]).collect())
        }
        _ => None,
    }
}

/// `user:` and the base64 of the SHA-1 of `user:password`. Credentials without a colon are all user.
#[must_use]
pub fn digest_id(credentials: &[u8]) -> Id {
    let text = String::from_utf8_lossy(credentials);
    let user = text.split(':').next().unwrap_or_default();
    let hash = sha1_smol::Sha1::from(text.as_bytes()).digest().bytes();
    identity("digest", format!("{user}:{}", STANDARD.encode(hash)))
}

/// Who a connection is by where it comes from.
#[must_use]
pub fn ip_id(address: IpAddr) -> Id {
    identity("ip", address.to_canonical().to_string())
}

fn identity(scheme: &'static str, id: String) -> Id {
    Id { scheme: scheme.into(), id: id.into() }
}
