//! Marks: the random numbers on the lines around a peer's words.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Draws marks. No peer can guess the next one, whatever it has seen of us: they are the HMAC of a counter under a
/// secret key, which is used for nothing else.
pub(super) struct Marks {
    keyed: Hmac<Sha256>,
    drawn: u64,
}

impl Marks {
    /// Makes a source of marks. `key`: bytes of the system's random generator.
    pub(super) fn new(key: &[u8; 64]) -> Self {
        Marks {
            keyed: Hmac::new(key.into()),
            drawn: 0,
        }
    }

    /// Draws a mark that is nowhere in these words.
    pub(super) fn absent_from(&mut self, words: &str) -> String {
        loop {
            let mark = self.draw();
            if !words.contains(&mark) {
                return mark;
            }
        }
    }

    fn draw(&mut self) -> String {
        self.drawn += 1;
        let mut code = self.keyed.clone();
        code.update(&self.drawn.to_be_bytes());
        let code = code.finalize().into_bytes();
        let bytes = code.iter().take(8);
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_drawn_again_while_the_words_have_it() {
        let mut marks = Marks::new(&[7; 64]);
        let (first, second) = (marks.absent_from(""), marks.absent_from(""));
        assert_eq!(first.len(), 16);
        assert_ne!(first, second);
        let mut again = Marks::new(&[7; 64]);
        let third = again.absent_from(&format!("--- end {first} ---\n--- end {second} ---"));
        assert_eq!(third, marks.absent_from(""));
        let mut other = Marks::new(&[8; 64]);
        assert_ne!(other.absent_from(""), first);
    }
}
