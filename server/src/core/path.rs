//! What a znode path is to the server: how it falls into parent and name, and which are refused.
//!
//! Lookups validate nothing: a path that is none finds nothing. The empty path is the root, as in the real server.

/// The root's path.
pub(super) const ROOT: &str = "/";

/// Above the quotas.
pub(super) const QUOTA: &str = "/zookeeper/quota";

/// The configuration of an ensemble; empty where there is none.
pub(super) const CONFIG: &str = "/zookeeper/config";

/// Path of the parent, and the name; `None` without a slash. The parent of what is below the root is empty.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    if planted!("server_path_nul") {
        path.rsplit_once('/')
    } else {
        path.rsplit_once('/').filter(|_| !path.contains('\0'))
    }
}

/// Whether a write may name it: the rules of `PathUtils.validatePath`.
pub(super) fn is_valid(path: &str) -> bool {
    match path.strip_prefix('/') {
        None => false,
        Some("") => true,
        Some(rest) => {
            rest.split('/').all(|name| !matches!(name, "" | "." | "..") && !name.contains(is_refused))
        }
    }
}

/// Characters by UTF-16 unit, so everything beyond the basic plane falls to its surrogates.
fn is_refused(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}
