//! Counts what is written to channels, to see whether the peer's transport acknowledges anything.

/// The bytes written and acknowledged so far.
#[derive(Debug, Default)]
pub(crate) struct Outstanding {
    written: u64,
    acknowledged: u64,
}

impl Outstanding {
    /// Notes that `bytes` were written to one of the channels.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Notes that `buffered` bytes are not acknowledged. Returns whether some were acknowledged since the
    /// last call.
    pub(crate) fn acknowledged_to(&mut self, buffered: usize) -> bool {
        let acknowledged = self.written.saturating_sub(buffered as u64);
        let is_more = acknowledged > self.acknowledged;
        self.acknowledged = self.acknowledged.max(acknowledged);
        is_more
    }

    /// Returns how many bytes have been acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_meanwhile_hides_no_acknowledgement() {
        let mut outstanding = Outstanding::default();
        outstanding.written(100);
        assert!(!outstanding.acknowledged_to(100));
        outstanding.written(50);
        assert!(outstanding.acknowledged_to(100));
        assert!(!outstanding.acknowledged_to(100));
        // A channel that is gone acknowledges nothing more.
        assert!(!outstanding.acknowledged_to(usize::MAX));
        assert!(outstanding.acknowledged_to(0));
    }
}
