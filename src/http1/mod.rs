//! The part of HTTP/1.1 that our servers take, the registry and the metrics: one request a connection.

mod request;

pub(crate) mod answer;

pub(crate) use request::{Request, RequestBuffer};

/// The reason why bytes cannot be used as a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status code to answer with.
    pub(crate) status: u16,
    /// What is wrong, for a person.
    pub(crate) text: String,
}

impl Refusal {
    fn new(status: u16, text: &str) -> Self {
        Refusal {
            status,
            text: text.to_owned(),
        }
    }
}

/// Returns the words for a status code.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}
