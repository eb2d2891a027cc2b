//! The references to variables in a line of `.env`, by dotenvy's rules: `$NAME` of letters and digits, and `${NAME}`, outside of single
//! quotes. dotenvy replaces one that is not set by nothing, and does not say so: `pa$$word` becomes `pa`.

/// The names that the value in `entry` refers to, an empty one for a lone `$`. `entry` is `NAME=value`, which dotenvy has read.
pub(super) fn references(entry: &str) -> Vec<String> {
    let value = entry.split_once('=').map_or("", |(_, value)| value.trim());
    let mut found = Vec::new();
    let mut quote = None;
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(characters.next()),
            (_, '$') => {
                let is_block = characters.next_if_eq(&'{').is_some();
                let mut name = String::new();
                while let Some(c) = characters.next_if(|c| if is_block { *c != '}' } else { c.is_alphanumeric() }) {
                    name.push(c);
                }
                // What ends a name without braces counts as text, even if it is a quote.
                if is_block || characters.peek() != Some(&'$') {
                    characters.next();
                }
                found.push(name);
            }
            (None, '\'' | '"') => quote = Some(c),
            // Behind the value: a comment.
            (None, ' ' | '\t') => break,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_by_dotenvys_rules() {
        let check = |entry: &str, expected: &[&str]| assert_eq!(references(entry), expected, "{entry}");
        check("A=b", &[]);
        check("A=$B$C", &["B", "C"]);
        check("A=${B_C}x$D-$", &["B_C", "D", ""]);
        check("A=$B_C", &["B"]);
        check("A=pa$$word", &["", "word"]);
        check("A='$B'", &[]);
        check("A=\"${B} '$C'\"", &["B", "C"]);
        check("A=\\$B \\", &[]);
        check("A=x\\ $B", &["B"]);
        check("A=x # $B", &[]);
        check("export A = \"${B}\" # $C", &["B"]);
        check("A", &[]);
    }
}
