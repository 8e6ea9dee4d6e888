//! The protocol of Redis (RESP2): commands to bytes, and bytes to answers. Without I/O of its own.

use std::io::{self, BufRead, Read as _};

use super::limits::{STORE_DEPTH, STORE_ELEMENTS, STORE_LINE_BYTES, STORE_TEXT_BYTES};

/// An answer, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text, short or long.
    Text(Vec<u8>),
    /// A number.
    Integer(i64),
    /// No text, or no list.
    Nothing,
    /// Several.
    List(Vec<Value>),
    /// A refusal, with the server's words.
    Error(String),
}

/// Appends a command, which is a list of texts.
pub(super) fn write_command<P: AsRef<[u8]>>(into: &mut Vec<u8>, parts: &[P]) {
    into.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        let part = part.as_ref();
        into.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        into.extend_from_slice(part);
        into.extend_from_slice(b"\r\n");
    }
}

/// Reads an answer.
///
/// # Errors
/// Those of the source; `InvalidData` for what is no RESP2, or is larger than the limits.
pub(super) fn read(from: &mut impl BufRead) -> io::Result<Value> {
    read_within(from, STORE_DEPTH)
}

fn read_within(from: &mut impl BufRead, depth: usize) -> io::Result<Value> {
    let line = read_line(from)?;
    let (kind, rest) = line
        .split_at_checked(1)
        .ok_or_else(|| invalid("an empty line"))?;
    match kind {
        b"+" => Ok(Value::Text(rest.to_vec())),
        b"-" => Ok(Value::Error(String::from_utf8_lossy(rest).into_owned())),
        b":" => Ok(Value::Integer(number(rest)?)),
        b"$" => match length(rest, STORE_TEXT_BYTES)? {
            None => Ok(Value::Nothing),
            Some(length) => read_text(from, length),
        },
        b"*" => match length(rest, STORE_ELEMENTS)? {
            None => Ok(Value::Nothing),
            Some(_) if depth == 0 => Err(invalid("lists in lists in lists")),
            Some(count) => (0..count)
                .map(|_| read_within(from, depth - 1))
                .collect::<io::Result<Vec<_>>>()
                .map(Value::List),
        },
        _ => Err(invalid("an unknown type")),
    }
}

/// Reads a line; returns it without its end.
fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(STORE_LINE_BYTES as u64)
        .read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(line.to_vec()),
        None if line.len() >= STORE_LINE_BYTES => Err(invalid("a long line")),
        None if line.ends_with(b"\n") => Err(invalid("a line that ends with \\n alone")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_text(from: &mut impl BufRead, length: usize) -> io::Result<Value> {
    let mut text = Vec::new();
    // What is only announced takes no memory.
    from.take(length as u64 + 2).read_to_end(&mut text)?;
    if text.len() < length + 2 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match text.strip_suffix(b"\r\n") {
        Some(text) => Ok(Value::Text(text.to_vec())),
        None => Err(invalid("a text longer than it says")),
    }
}

fn number(digits: &[u8]) -> io::Result<i64> {
    let number = std::str::from_utf8(digits).ok();
    let number = number.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| invalid("no number"))
}

/// Returns a length up to `most`; `None` for that of nothing, -1.
fn length(digits: &[u8], most: usize) -> io::Result<Option<usize>> {
    match number(digits)? {
        -1 => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) if length <= most => Ok(Some(length)),
            _ => Err(invalid("a length beyond the limit")),
        },
    }
}

fn invalid(what: &str) -> io::Error {
    let text = format!("it sends {what}, which a Redis does not");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    fn parse(mut bytes: &[u8]) -> io::Result<Value> {
        let value = read(&mut bytes)?;
        assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
        Ok(value)
    }

    #[test]
    fn a_command_is_a_list_of_texts() {
        let mut bytes = Vec::new();
        write_command(&mut bytes, &["SET", "a", "x\r\ny"]);
        assert_eq!(bytes, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\nx\r\ny\r\n");
        let list = Value::List(vec![text("SET"), text("a"), text("x\r\ny")]);
        assert_eq!(parse(&bytes).unwrap(), list);
    }

    #[test]
    fn answers_of_every_kind_are_read() {
        assert_eq!(parse(b"+OK\r\n").unwrap(), text("OK"));
        assert_eq!(parse(b":-7\r\n").unwrap(), Value::Integer(-7));
        assert_eq!(parse(b"$-1\r\n").unwrap(), Value::Nothing);
        assert_eq!(parse(b"*-1\r\n").unwrap(), Value::Nothing);
        assert_eq!(parse(b"$0\r\n\r\n").unwrap(), text(""));
        let error = Value::Error("ERR no".to_owned());
        assert_eq!(parse(b"-ERR no\r\n").unwrap(), error);
        let nested = Value::List(vec![Value::Integer(1), Value::List(vec![text("a")])]);
        assert_eq!(parse(b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n").unwrap(), nested);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bytes in [
            &b"\r\n"[..],
            b"OK\r\n",
            b"+OK\n",
            b":x\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"$1\r\nabc",
            b"*99999999999\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ] {
            let kind = parse(bytes).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::InvalidData, "{bytes:?}");
        }
        for bytes in [&b""[..], b"+O", b"$5\r\nabc\r\n", b"*2\r\n:1\r\n"] {
            let kind = parse(bytes).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::UnexpectedEof, "{bytes:?}");
        }
        let long = [b"+".to_vec(), vec![b'x'; STORE_LINE_BYTES]].concat();
        assert_eq!(parse(&long).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
