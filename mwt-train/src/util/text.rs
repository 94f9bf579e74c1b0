//! Text that comes from a file, where a person reads it.

use std::fmt::Write as _;

/// The text with all that a terminal or a page would act on escaped: control characters, line and paragraph separators,
/// and what turns the direction of writing or joins characters unseen.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let acts = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if acts {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The text as Markdown that shows it as it is: [`shown`], and all that Markdown or HTML would act on escaped.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' => out.extend(['\\', c]),
            '@' => out.push_str("&#64;"),
            _ => out.push(c),
        }
    }
    // Bare addresses become links.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// What another library says, in one line.
pub fn one_line(said: &impl std::fmt::Display) -> String {
    said.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_shows_a_text_as_it_is() {
        assert_eq!(markdown("Hände 7"), "Hände 7");
        assert_eq!(markdown("<img src=x onerror=alert(1)>"), "&lt;img src=x onerror=alert(1)&gt;");
        assert_eq!(markdown("a*b_c`d|e\\f"), "a\\*b\\_c\\`d\\|e\\\\f");
        assert_eq!(markdown("[x](http://y) &lt;"), "\\[x\\](http&#58;//y) &amp;lt;");
        assert_eq!(markdown("\n# x\x1b"), "\\\\n\\# x\\\\u{1b}");
    }

    #[test]
    fn lines_become_one() {
        assert_eq!(one_line(&"two\n  lines\n"), "two lines");
    }

    #[test]
    fn what_acts_is_escaped_and_the_rest_stays() {
        assert_eq!(shown("Hände 手 🙂"), "Hände 手 🙂");
        assert_eq!(shown("a\x1b[2Jb\rc\n"), "a\\u{1b}[2Jb\\rc\\n");
        assert_eq!(shown("x\u{202e}y\u{85}\u{2028}"), "x\\u{202e}y\\u{85}\\u{2028}");
    }
}
