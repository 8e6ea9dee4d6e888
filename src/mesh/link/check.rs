//! Reads connectivity checks as they pass: the transaction that each belongs to, and whether it nominates its
//! pair (RFC 8445 section 7).

/// The transaction id of a STUN message (RFC 8489 section 5).
pub(crate) type TransactionId = [u8; 12];

/// The length of a STUN message's header, and where its magic cookie and its transaction id are.
const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// The types of a Binding request and of a successful answer to one.
const REQUEST: [u8; 2] = [0, 1];
const SUCCESS: [u8; 2] = [1, 1];

/// The type of the attribute USE-CANDIDATE (RFC 8445 section 16.1).
const USE_CANDIDATE: [u8; 2] = [0, 0x25];

/// A connectivity check, or the answer to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// A check.
    Request {
        /// Its transaction.
        id: TransactionId,
        /// Whether the controlling side chooses the pair on which it comes.
        nominates: bool,
    },
    /// The answer to a check that has arrived.
    Answer {
        /// The transaction of the check.
        id: TransactionId,
    },
}

impl Check {
    /// Returns its transaction.
    pub(crate) fn id(self) -> TransactionId {
        match self {
            Check::Request { id, .. } | Check::Answer { id } => id,
        }
    }

    /// Reads a datagram; `None` if it is no such message. Its signature is not looked at.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let (header, attributes) = datagram.split_at_checked(HEADER_BYTES)?;
        let (kind, rest) = header.split_first_chunk()?;
        let (_, rest) = rest.split_first_chunk::<2>()?;
        let (cookie, id) = rest.split_first_chunk()?;
        let id = TransactionId::try_from(id).ok()?;
        match (*kind, *cookie) {
            (REQUEST, COOKIE) => Some(Check::Request {
                id,
                nominates: has_use_candidate(attributes),
            }),
            (SUCCESS, COOKIE) => Some(Check::Answer { id }),
            _ => None,
        }
    }
}

fn has_use_candidate(mut attributes: &[u8]) -> bool {
    while let Some(([high, low, length @ ..], rest)) = attributes.split_first_chunk::<4>() {
        if [*high, *low] == USE_CANDIDATE {
            return true;
        }
        let length = usize::from(u16::from_be_bytes(*length)).next_multiple_of(4);
        attributes = rest.get(length..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: [u8; 2], attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        [&kind[..], &length, &COOKIE, &[7; 12], attributes].concat()
    }

    #[test]
    fn a_check_is_told_from_its_answer_and_from_anything_else() {
        let id = [7; 12];
        let nominates = false;
        let request = message(REQUEST, &[]);
        assert_eq!(
            Check::read(&request),
            Some(Check::Request { id, nominates })
        );
        assert_eq!(
            Check::read(&message(SUCCESS, &[])),
            Some(Check::Answer { id })
        );
        let mut other = request.clone();
        other[4] = 0;
        for none in [&other, &request[..19], &message([1, 0x11], &[])] {
            assert_eq!(Check::read(none), None);
        }
    }

    #[test]
    fn a_nomination_is_found_among_attributes_of_any_length() {
        let nominates = |attributes: &[u8]| match Check::read(&message(REQUEST, attributes)) {
            Some(Check::Request { nominates, .. }) => nominates,
            _ => panic!("no check"),
        };
        assert!(nominates(&[0, 6, 0, 3, 1, 2, 3, 0, 0, 0x25, 0, 0]));
        assert!(!nominates(&[0, 6, 0, 4, 0, 0x25, 0, 0]));
        // It claims to be longer than the message.
        assert!(!nominates(&[0, 6, 255, 255, 0, 0x25, 0, 0]));
    }
}
