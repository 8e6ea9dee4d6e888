//! The numbers by which the relay's poll names its sockets.

use mio::Token;

use super::client::StreamId;
use super::reaction::AllocationId;

/// The place of a socket on which clients are awaited among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ListenerId(pub(super) usize);

/// What wakes the thread.
pub(super) const WAKER: Token = Token(0);

/// How many kinds of sockets there are. The kind of a token is its remainder by this, the socket's number its quotient.
const KINDS: usize = 3;

/// Something that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Waker,
    Listener(ListenerId),
    Stream(StreamId),
    Allocation(AllocationId),
}

impl Watched {
    pub(super) fn token(self) -> Token {
        match self {
            Watched::Waker => WAKER,
            Watched::Listener(ListenerId(number)) => Token(1 + KINDS * number),
            Watched::Stream(StreamId(number)) => Token(2 + KINDS * number),
            Watched::Allocation(AllocationId(number)) => Token(KINDS + KINDS * number),
        }
    }

    pub(super) fn of(token: Token) -> Self {
        let number = token.0 / KINDS;
        match token.0 % KINDS {
            1 => Watched::Listener(ListenerId(number)),
            2 => Watched::Stream(StreamId(number)),
            _ => match number.checked_sub(1) {
                None => Watched::Waker,
                Some(number) => Watched::Allocation(AllocationId(number)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_token_of_its_own() {
        let mut all = vec![Watched::Waker];
        for number in [0, 1, 2, 1000] {
            all.push(Watched::Listener(ListenerId(number)));
            all.push(Watched::Stream(StreamId(number)));
            all.push(Watched::Allocation(AllocationId(number)));
        }
        for watched in all {
            assert_eq!(Watched::of(watched.token()), watched);
        }
    }
}
