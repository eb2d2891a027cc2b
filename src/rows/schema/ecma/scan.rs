//! What can be seen in a pattern without parsing it.

/// Whether a pattern has look-around or a back-reference.
pub(in crate::rows::schema) fn is_backtracking(pattern: &str) -> bool {
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '\\' => {
                let next = rest[1..].chars().next();
                let is_reference = next.is_some_and(|c| matches!(c, '1'..='9')) || rest[1..].starts_with("k<");
                if is_reference && !in_class {
                    return true;
                }
                length += next.map_or(0, char::len_utf8);
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class && ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| rest.starts_with(look)) => {
                return true;
            }
            _ => {}
        }
        rest = &rest[length..];
    }
    false
}

/// The name of each capturing group, empty for one without: a back-reference may precede its group.
pub(super) fn group_names(pattern: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut in_class = false;
    let mut characters = pattern.char_indices();
    while let Some((at, c)) = characters.next() {
        let after = &pattern[at + c.len_utf8()..];
        match c {
            '\\' => {
                characters.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if in_class => {}
            '(' if !after.starts_with('?') => names.push(""),
            '(' => {
                if let Some(name) = after.strip_prefix("?<").filter(|name| !name.starts_with(['=', '!'])) {
                    names.push(name.split('>').next().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    names
}
