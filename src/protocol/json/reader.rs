//! A JSON text, read from front to back.

use std::fmt;

use super::Value;

/// Bytes of a string looked at one by one, before a search over more of them pays.
const SHORT_STRING_BYTES: usize = 16;

/// Why a text is not JSON. Quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum SyntaxError {
    /// It goes wrong here, counted in bytes from 0.
    At(usize),
    /// It ends too early.
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

/// Reads a JSON text (RFC 8259) in one pass and without recursion: values nested as deep as one
/// likes cost a byte each, no stack.
///
/// As that standard says, any escape `\uXXXX` stands in a string, half of a surrogate pair as
/// well, and numbers have no limits.
#[derive(Debug)]
pub(in crate::protocol) struct Reader<'a> {
    text: &'a str,
    /// What is left of it to read.
    rest: &'a [u8],
    /// The closing brackets that are due in the value under way, the innermost last.
    open: Vec<u8>,
    /// How many objects and arrays within each other the last value has.
    nesting: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the front of a text.
    pub(in crate::protocol) fn new(text: &'a str) -> Self {
        Reader {
            text,
            rest: text.as_bytes(),
            open: Vec::new(),
            nesting: 0,
        }
    }

    /// Whether what comes next is an object.
    pub(in crate::protocol) fn is_at_object(&mut self) -> bool {
        self.skip_space();
        self.peek() == Some(b'{')
    }

    /// Reads an object. `member` gets each key, without its escapes, and has to read the value.
    pub(in crate::protocol) fn object(
        &mut self,
        mut member: impl FnMut(&str, &mut Self) -> Result<(), SyntaxError>,
    ) -> Result<Value<'a>, SyntaxError> {
        self.sequence(b'{', b'}', |reader| {
            reader.skip_space();
            let start = reader.at();
            reader.string()?;
            let key = reader.since(start);
            reader.expect(b':')?;
            // A key that is no text (half of a surrogate pair) is none that anyone knows.
            member(&key.string().unwrap_or_default(), reader)
        })
    }

    /// Reads an array. `element` has to read an element.
    pub(in crate::protocol) fn array(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<Value<'a>, SyntaxError> {
        self.sequence(b'[', b']', element)
    }

    /// Reads any value.
    pub(in crate::protocol) fn value(&mut self) -> Result<Value<'a>, SyntaxError> {
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

    /// How many objects and arrays within each other the last [`Reader::value`] has.
    pub(in crate::protocol) fn nesting(&self) -> usize {
        self.nesting
    }

    /// Checks that nothing but white space is left.
    pub(in crate::protocol) fn end(&mut self) -> Result<(), SyntaxError> {
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

    /// Enters an object or array; true when it is empty, and so complete already.
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

    /// Goes on behind a complete value: to the next one of what is open; or, out of all that ends
    /// here, to the end, which is true.
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

    /// Passes over a key and the colon behind it.
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

    pub(in crate::protocol) fn at(&self) -> usize {
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

/// Counts the bytes up to the next one of a string that is a quote, a backslash or not allowed.
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
    // Without a branch for each byte, so that many are compared at once.
    match plain.iter().fold(false, |any, byte| any | (*byte < b' ')) {
        false => length,
        true => plain.iter().position(|byte| *byte < b' ').unwrap_or(length),
    }
}
