//! What a znode path looks like: the only place that knows.

use thiserror::Error;

/// Why a path is not one. The rules are those of `PathUtils.validatePath`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// It has no characters.
    #[error("the path is empty")]
    Empty,
    /// It does not begin at the root.
    #[error("the path does not start with '/'")]
    Relative,
    /// It ends with a slash (and is not the root).
    #[error("the path ends with '/'")]
    TrailingSlash,
    /// Two slashes with nothing between.
    #[error("empty component at byte {0}")]
    EmptyComponent(usize),
    /// A component `.` or `..`.
    #[error("relative component at byte {0}")]
    RelativeComponent(usize),
    /// A character that ZooKeeper refuses: controls, private use, everything beyond the basic plane.
    #[error("character {character:?} at byte {offset}")]
    Character {
        /// The character.
        character: char,
        /// Where it stands, in bytes.
        offset: usize,
    },
}

/// Checks a path.
///
/// # Errors
/// What is wrong with it first, from the left.
pub fn validate(path: &str) -> Result<(), PathError> {
    if planted!("path_unchecked") {
        return Ok(());
    }
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    if path == "/" {
        return Ok(());
    }
    let mut offset = 1;
    for component in path.get(1..).unwrap_or_default().split('/') {
        let is_last = offset + component.len() == path.len();
        match component {
            "" if is_last => return Err(PathError::TrailingSlash),
            "" => return Err(PathError::EmptyComponent(offset)),
            "." | ".." => return Err(PathError::RelativeComponent(offset)),
            _ => {}
        }
        if let Some((at, character)) = component.char_indices().find(|&(_, character)| is_refused(character))
        {
            return Err(PathError::Character { character, offset: offset + at });
        }
        offset += component.len() + 1;
    }
    Ok(())
}

/// Checks the path of a sequential znode, which gets digits at its end: it may end with a slash.
///
/// # Errors
/// As [`validate`].
pub fn validate_sequential(path: &str) -> Result<(), PathError> {
    match path.strip_suffix('/') {
        Some("") => Ok(()),
        Some("/") => Err(PathError::EmptyComponent(1)),
        Some(parent) => validate(parent),
        None => match path.rsplit_once('/') {
            // `/a/.` becomes `/a/.0000000001`, which is a fine name.
            Some((parent, "." | "..")) => {
                if parent.is_empty() {
                    Ok(())
                } else {
                    validate(parent)
                }
            }
            _ => validate(path),
        },
    }
}

/// ZooKeeper checks UTF-16 units, so a character beyond the basic plane fails by its surrogates.
fn is_refused(character: char) -> bool {
    matches!(
        u32::from(character),
        0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff | 0x1_0000..
    )
}

/// The path one level up; `None` above the root.
#[must_use]
pub fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}

/// The path of a child.
#[must_use]
pub fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// What is left of `path` below `root`, which itself becomes `/`; `None` if it lies elsewhere. `/app` holds `/app/x` and
/// not `/apple`.
#[must_use]
pub fn strip<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    if root.is_empty() || root == "/" {
        return Some(path);
    }
    match path.strip_prefix(root)? {
        "" => Some("/"),
        rest if rest.starts_with('/') => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_servers_take() {
        for path in ["/", "/a", "/a/b", "/a.b", "/...", "/ ", "/é", "/a/.b", "/zookeeper/config", "/\u{2028}"]
        {
            assert_eq!(validate(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn paths_that_servers_refuse() {
        for (path, error) in [
            ("", PathError::Empty),
            ("a", PathError::Relative),
            ("/a/", PathError::TrailingSlash),
            ("//", PathError::EmptyComponent(1)),
            ("//a", PathError::EmptyComponent(1)),
            ("/a//b", PathError::EmptyComponent(3)),
            ("/.", PathError::RelativeComponent(1)),
            ("/a/..", PathError::RelativeComponent(3)),
            ("/a/./b", PathError::RelativeComponent(3)),
            ("/a/../b", PathError::RelativeComponent(3)),
            ("/a\0", PathError::Character { character: '\0', offset: 2 }),
            ("/a\u{1f}", PathError::Character { character: '\u{1f}', offset: 2 }),
            ("/\u{7f}", PathError::Character { character: '\u{7f}', offset: 1 }),
            ("/\u{85}", PathError::Character { character: '\u{85}', offset: 1 }),
            ("/x/\u{e000}", PathError::Character { character: '\u{e000}', offset: 3 }),
            ("/\u{fff0}", PathError::Character { character: '\u{fff0}', offset: 1 }),
            ("/😀", PathError::Character { character: '😀', offset: 1 }),
        ] {
            assert_eq!(validate(path), Err(error), "{path:?}");
        }
    }

    #[test]
    fn sequential_paths_are_checked_with_their_digits() {
        for path in ["/", "/a/", "/a/n-", "/a/.", "/.."] {
            assert_eq!(validate_sequential(path), Ok(()), "{path:?}");
        }
        for path in ["", "a/", "//", "/a//", "/a/../n"] {
            assert!(validate_sequential(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn roots_end_at_components() {
        assert_eq!(strip("/app", "/app/x"), Some("/x"));
        assert_eq!(strip("/app", "/app"), Some("/"));
        assert_eq!(strip("/app", "/apple"), None);
        assert_eq!(strip("", "/app"), Some("/app"));
        assert_eq!(strip("/", "/app"), Some("/app"));
    }
}
