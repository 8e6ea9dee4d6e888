//! Characters of somebody else's text that are not shown as they are.

/// Returns whether a character of somebody else's text can make a line look like another: it moves the cursor, changes
/// colours, begins a line, or turns the direction of writing.
pub(crate) fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}')
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_or_breaks_a_line_is_deceptive_and_letters_of_every_language_are_not() {
        assert!(
            "\n\r\u{1b}\u{9b}\u{2028}\u{202e}\u{2066}\u{200f}"
                .chars()
                .all(is_deceptive)
        );
        assert!(!"aé שלום سلام 你好 👩‍🚀".chars().any(is_deceptive));
    }
}
