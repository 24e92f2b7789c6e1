//! Just enough of Rust's grammar to tell code from comments, strings and tests.

/// Blanks comments and the contents of strings and characters; lines stay where they are.
pub(crate) fn scrub(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while at < letters.len() {
        let end = token_end(&letters, at);
        let is_blank = end > at + 1;
        for letter in &letters[at..end] {
            out.push(if is_blank && *letter != '\n' { ' ' } else { *letter });
        }
        at = end;
    }
    out
}

/// The end of the comment, string or character that begins at `at`; `at + 1` when none begins there.
fn token_end(letters: &[char], at: usize) -> usize {
    let rest = &letters[at..];
    let behind_word = at > 0 && (letters[at - 1].is_alphanumeric() || letters[at - 1] == '_');
    match rest {
        ['/', '/', ..] => at + rest.iter().position(|letter| *letter == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => at + block_comment(rest),
        ['r', '"' | '#', ..] if !behind_word => at + raw_string(rest, 1),
        ['b', 'r', '"' | '#', ..] if !behind_word => at + raw_string(rest, 2),
        ['"', ..] => at + string(rest),
        ['\'', '\\', ..] => {
            let tail = rest.iter().skip(3).position(|letter| *letter == '\'');
            at + tail.map_or(rest.len(), |tail| tail + 4)
        }
        // Anything else behind a quote is a lifetime.
        ['\'', _, '\'', ..] => at + 3,
        _ => at + 1,
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A raw string, or one letter when `r#` begins a raw identifier.
fn raw_string(rest: &[char], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|letter| **letter == '#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return 1;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let end = rest[open + 1..].windows(close.len()).position(|window| window == close);
    end.map_or(rest.len(), |end| open + 1 + end + close.len())
}

/// Identifiers and keywords of scrubbed code.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

/// Scrubbed code without what stands under `#[cfg(test)]`.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, behind)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        rest = &behind[item_end(behind)..];
    }
    kept + rest
}

/// Where the item at the beginning of `code` ends: at its `;`, or at the end of its braces.
fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Name and body of every function of scrubbed code that a test attribute stands before.
pub(crate) fn test_functions(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for marker in ["#[test]", "::test]", "::test("] {
        for (at, _) in code.match_indices(marker) {
            let behind = &code[at + marker.len()..];
            let Some(start) = behind.find("fn ") else { continue };
            let function = &behind[start..];
            let name = words(function).nth(1).unwrap_or_default().to_owned();
            let Some(open) = function.find('{') else { continue };
            let body = &function[open..];
            found.push((name, body[..item_end(body)].to_owned()));
        }
    }
    found
}

pub(crate) fn has_ignored_test(code: &str) -> bool {
    let dense: String = code.split_whitespace().collect();
    dense.contains("#[ignore]") || dense.contains("#[ignore=")
}

/// The modules that scrubbed code reaches through `crate::` and `super::`, also in groups.
pub(crate) fn modules_of_the_crate(code: &str) -> Vec<String> {
    let dense: String = code.split_whitespace().collect();
    let mut found = Vec::new();
    for marker in ["crate::", "super::"] {
        for (at, _) in dense.match_indices(marker) {
            let behind = &dense[at + marker.len()..];
            match behind.strip_prefix('{') {
                Some(group) => found.extend(group_heads(group)),
                None => found.extend(words(behind).next().map(str::to_owned)),
            }
        }
    }
    found
}

/// The first word of every entry of a `use` group, whose opening brace is left out.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut head) = (0_usize, Vec::new(), String::new());
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut head)),
            _ if depth == 0 => head.push(letter),
            _ => {}
        }
    }
    heads.push(head);
    heads.iter().filter_map(|head| words(head).next().map(str::to_owned)).collect()
}

#[test]
fn comments_strings_and_characters_are_blanked_and_code_is_not() {
    let text = "let a = \"x\\\"y\"; // z\nlet b = 'q'; let c: &'static str = r#\"w\"v\"#; /* u /* t */ s */ let d = '\\'';r";
    let code = scrub(text);
    assert_eq!(
        words(&code).collect::<Vec<_>>(),
        ["let", "a", "let", "b", "let", "c", "static", "str", "let", "d", "r"]
    );
    assert_eq!(code.lines().count(), text.lines().count());
}
