//! Numbers in few characters, for people.

/// Returns bytes with a unit, in at most eight characters: `999 B`, `1.2 KB`, `35 MB`.
pub(super) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 999.5 {
        return format!("{bytes:.0} B");
    }
    let mut scaled = bytes;
    let mut unit = "B";
    for larger in UNITS {
        if scaled < 999.5 {
            break;
        }
        scaled /= 1000.0;
        unit = larger;
    }
    short(scaled) + " " + unit
}

/// Returns a count without a unit, in at most five characters: `999`, `1.2k`, `35M`.
pub(super) fn count(count: f64) -> String {
    let mut scaled = count;
    let mut unit = "";
    for larger in ["k", "M", "G", "T"] {
        if scaled < 999.5 {
            break;
        }
        scaled /= 1000.0;
        unit = larger;
    }
    match unit {
        "" => format!("{scaled:.0}"),
        unit => short(scaled) + unit,
    }
}

/// Returns milliseconds: `0.24 ms`, `12.3 ms`, `1.5 s`.
pub(super) fn milliseconds(milliseconds: f64) -> String {
    match milliseconds {
        time if time < 9.995 => format!("{time:.2} ms"),
        time if time < 99.95 => format!("{time:.1} ms"),
        time if time < 999.5 => format!("{time:.0} ms"),
        time => format!("{:.1} s", time / 1000.0),
    }
}

/// Returns a duration in its two largest units: `45s`, `3m 20s`, `2d 5h`.
pub(super) fn duration(seconds: f64) -> String {
    // What is no duration counts as none.
    let seconds = seconds as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

fn short(scaled: f64) -> String {
    if scaled < 9.95 {
        format!("{scaled:.1}")
    } else {
        format!("{scaled:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, told) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1000.0, "1.0 KB"),
            (9960.0, "10 KB"),
            (999_400.0, "999 KB"),
            (999_600.0, "1.0 MB"),
            (1.5e16, "15 PB"),
        ] {
            assert_eq!(bytes(number), told);
        }
        for (number, told) in [(0.4, "0"), (999.0, "999"), (1234.0, "1.2k"), (35e6, "35M")] {
            assert_eq!(count(number), told);
        }
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        for (time, told) in [
            (0.238, "0.24 ms"),
            (12.34, "12.3 ms"),
            (234.5, "234 ms"),
            (1500.0, "1.5 s"),
        ] {
            assert_eq!(milliseconds(time), told);
        }
        for (time, told) in [
            (-1.0, "0s"),
            (59.9, "59s"),
            (200.0, "3m 20s"),
            (7260.0, "2h 1m"),
            (190_800.0, "2d 5h"),
        ] {
            assert_eq!(duration(time), told);
        }
    }
}
