//! The client's side of one exchange, over a connection that is there.

use std::io::{self, Read, Write};

/// An answer: its status code, and its content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content: String,
}

impl Answer {
    /// Parses the whole text of an answer; `None` if it is none.
    fn parse(text: &str) -> Option<Self> {
        let (head, content) = text.split_once("\r\n\r\n")?;
        let (version, rest) = head.split_once(' ')?;
        let status = rest.get(..3).filter(|_| version.starts_with("HTTP/1."))?;
        Some(Answer {
            status: status.parse().ok()?,
            content: content.to_owned(),
        })
    }
}

/// A request.
pub(crate) struct Exchange<'a> {
    /// As in `GET`.
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The server's name.
    pub(crate) host: &'a str,
    /// The content; empty for none.
    pub(crate) body: &'a str,
    /// Bytes of the answer that are read at most.
    pub(crate) most: u64,
}

impl Exchange<'_> {
    /// Sends the request, and reads the answer until the server ends the connection.
    ///
    /// # Errors
    /// Those of the connection, whose timeouts are the caller's; or what came is no answer of HTTP.
    pub(crate) fn run(&self, mut stream: impl Read + Write) -> io::Result<Answer> {
        let Exchange {
            method, path, host, ..
        } = self;
        let length = self.body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{}",
            self.body
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.take(self.most).read_to_string(&mut answer)?;
        Answer::parse(&answer).ok_or_else(|| {
            let text = "the answer is not one of HTTP";
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_content() {
        let parsed = |text| Answer::parse(text).map(|answer| (answer.status, answer.content));
        let text = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}\r\n\r\n";
        assert_eq!(parsed(text), Some((200, "{}\r\n\r\n".to_owned())));
        assert_eq!(parsed("HTTP/1.0 503 \r\n\r\n"), Some((503, String::new())));
        for text in [
            "",
            "\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "SSH-2.0 200\r\n\r\n",
            "HTTP/1.1 2é\r\n\r\n",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }
}
