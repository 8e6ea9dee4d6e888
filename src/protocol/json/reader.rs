//! The reader: goes through a JSON text from front to back.

use std::fmt;

use super::Value;

/// Bytes of a string that are looked at one by one before searching more of them at once pays.
const SHORT_STRING_BYTES: usize = 16;

/// The reason why a text is not JSON. It quotes nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// The text is wrong at this byte, counted from 0.
    At(usize),
    /// The text ends too early.
    Incomplete,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::At(at) => write!(f, "is not JSON from byte {} on", at + 1),
            SyntaxError::Incomplete => f.write_str("ends before its JSON is complete"),
        }
    }
}

/// Reads a JSON text (RFC 8259) in one pass and without recursion: each level of nesting costs a byte, and
/// no stack.
///
/// As that standard allows, a string may hold any escape `\uXXXX`, half of a surrogate pair as well, and
/// numbers have no limits.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    /// The part that is not read yet.
    rest: &'a [u8],
    /// The closing brackets that are due in the value being read, the innermost last.
    open: Vec<u8>,
    /// The depth of nested objects and arrays of the last value.
    nesting: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the front of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Reader {
            text,
            rest: text.as_bytes(),
            open: Vec::new(),
            nesting: 0,
        }
    }

    /// Returns whether an object comes next.
    pub(crate) fn is_at_object(&mut self) -> bool {
        self.skip_space();
        self.peek() == Some(b'{')
    }

    /// Reads an object. It calls `member` with each key, without its escapes; `member` has to read the
    /// value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&str, &mut Self) -> Result<(), SyntaxError>,
    ) -> Result<Value<'a>, SyntaxError> {
        self.sequence(b'{', b'}', |reader| {
            reader.skip_space();
            let start = reader.at();
            reader.string()?;
            let key = reader.since(start);
            reader.expect(b':')?;
            // A key that is no text (half of a surrogate pair) is a key that nobody knows.
            member(&key.string().unwrap_or_default(), reader)
        })
    }

    /// Reads an array. It calls `element` for each element; `element` has to read it.
    pub(crate) fn array(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<Value<'a>, SyntaxError> {
        self.sequence(b'[', b']', element)
    }

    /// Reads any value.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, SyntaxError> {
        self.skip_space();
        let start = self.at();
        self.open.clear();
        self.nesting = 0;
        loop {
            self.skip_space();
            let is_complete = match self.peek() {
                Some(b'{') => self.enter(b'}')?,
                Some(b'[') => self.enter(b']')?,
                Some(b'"') => self.string().map(|()| true)?,
                Some(b't') => self.literal("true").map(|()| true)?,
                Some(b'f') => self.literal("false").map(|()| true)?,
                Some(b'n') => self.literal("null").map(|()| true)?,
                _ => self.number().map(|()| true)?,
            };
            if is_complete && self.go_on()? {
                return Ok(self.since(start));
            }
        }
    }

    /// Returns the depth of nested objects and arrays of the last [`Reader::value`].
    pub(crate) fn nesting(&self) -> usize {
        self.nesting
    }

    /// Returns whether the member of an object that was just read is complete: a number could go on.
    pub(crate) fn is_behind_member(&mut self) -> bool {
        self.skip_space();
        matches!(self.peek(), Some(b',' | b'}'))
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error()),
        }
    }

    fn sequence(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<Value<'a>, SyntaxError> {
        self.skip_space();
        let start = self.at();
        self.expect(open)?;
        if !self.take_after_space(close) {
            item(self)?;
            while self.take_after_space(b',') {
                item(self)?;
            }
            self.expect(close)?;
        }
        Ok(self.since(start))
    }

    /// Enters an object or array; returns true when it is empty, and so complete already.
    fn enter(&mut self, close: u8) -> Result<bool, SyntaxError> {
        self.nesting = self.nesting.max(self.open.len() + 1);
        self.skip(1);
        if self.take_after_space(close) {
            return Ok(true);
        }
        self.open.push(close);
        if close == b'}' {
            self.skip_key()?;
        }
        Ok(false)
    }

    /// Goes on behind a complete value: to the next value of what is open (returns false), or out of
    /// everything that ends here to the end of the outermost value (returns true).
    fn go_on(&mut self) -> Result<bool, SyntaxError> {
        while let Some(&close) = self.open.last() {
            if self.take_after_space(b',') {
                if close == b'}' {
                    self.skip_key()?;
                }
                return Ok(false);
            }
            self.expect(close)?;
            self.open.pop();
        }
        Ok(true)
    }

    /// Skips a key and the colon behind it.
    fn skip_key(&mut self) -> Result<(), SyntaxError> {
        self.skip_space();
        self.string()?;
        self.expect(b':')
    }

    fn string(&mut self) -> Result<(), SyntaxError> {
        if !self.take(b'"') {
            return Err(self.error());
        }
        loop {
            self.skip(plain_characters(self.rest));
            if self.take(b'"') {
                return Ok(());
            }
            if !self.take(b'\\') {
                return Err(self.error());
            }
            self.escape()?;
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.skip(1),
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => {
                self.skip(5);
            }
            _ => return Err(self.error()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Result<(), SyntaxError> {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.skip(count);
        match count {
            0 => Err(self.error()),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<(), SyntaxError> {
        match self.rest.strip_prefix(literal.as_bytes()) {
            Some(rest) => self.rest = rest,
            None => return Err(self.error()),
        }
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), SyntaxError> {
        match self.take_after_space(byte) {
            true => Ok(()),
            false => Err(self.error()),
        }
    }

    fn take_after_space(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.take(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn since(&self, start: usize) -> Value<'a> {
        Value::of(self.text.get(start..self.at()).unwrap_or_default())
    }

    fn error(&self) -> SyntaxError {
        match self.peek() {
            Some(_) => SyntaxError::At(self.at()),
            None => SyntaxError::Incomplete,
        }
    }
}

/// Counts the bytes of a string up to the next quote, backslash or forbidden byte.
fn plain_characters(rest: &[u8]) -> usize {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    for (length, byte) in rest.iter().enumerate() {
        if is_special(*byte) {
            return length;
        }
        if length == SHORT_STRING_BYTES {
            break;
        }
    }
    let length = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    let plain = rest.get(..length).unwrap_or(rest);
    match holds_control_characters(plain) {
        false => length,
        true => plain.iter().position(|byte| *byte < b' ').unwrap_or(length),
    }
}

/// Returns whether any byte is below that of the space. Eight bytes are compared at once, which the compiler does not make
/// of a loop over bytes when it optimises for size.
fn holds_control_characters(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    let word_holds_one = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        // A byte below the space borrows its highest bit. One that has it set anyway is none.
        word.wrapping_sub(ONES * u64::from(b' ')) & !word & (ONES << 7) != 0
    };
    words.iter().any(word_holds_one) || rest.iter().any(|byte| *byte < b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_found_wherever_it_is_and_nothing_else_is_one() {
        let plain = "\u{7f}x\u{80}\u{ff}\u{10ffff} ~é".repeat(3);
        assert!(!holds_control_characters(plain.as_bytes()));
        for at in 0..plain.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = plain.clone().into_bytes();
                bytes[at] = byte;
                assert_eq!(
                    holds_control_characters(&bytes),
                    byte < b' ',
                    "{byte} at {at}"
                );
            }
        }
    }
}
