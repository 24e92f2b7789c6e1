//! Names of sequential znodes, chosen and not drawn.
//!
//! Two layouts number their leaves by the server's counter. A leaf that is created so has no name before the answer comes:
//! if the answer is lost, so is the leaf, and a reconnect makes a second one. Readers take any ten digits. Ours come from the
//! instance's id, above everything that the counter, 32 bits with a sign, can draw: the same instance has the same name
//! after every restart, and never that of a leaf that a server numbered.

/// The first number that no server draws.
const FIRST: u64 = 1 << 31;

/// How many numbers of ten digits are left from there.
const COUNT: u64 = 10_000_000_000 - FIRST;

/// Ten digits for this id.
pub(super) fn number(id: &str) -> u64 {
    // FNV-1a: the same everywhere and for ever, as names must be.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let count = if planted!("layout_sequence_drawn") { FIRST } else { COUNT };
    let first = if planted!("layout_sequence_drawn") { 0 } else { FIRST };
    first + hash % count
}

/// Whether `digits` are a number that a server drew: ten digits, or a minus sign and ten once the counter has wrapped.
pub(super) fn is_drawn(digits: &str) -> bool {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    unsigned.len() == 10
        && digits.parse::<i32>().is_ok()
        && unsigned.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_what_they_are() {
        assert_eq!(number("time-00000000-0000-4000-8000-000000000000"), 3_555_144_171);
    }

    #[test]
    fn drawn_numbers_are_told_from_chosen_ones() {
        for drawn in ["0000000000", "0000000042", "2147483647", "-2147483648", "-0000000001"] {
            assert!(is_drawn(drawn), "{drawn}");
        }
        for other in ["", "42", "2147483648", "9999999999", "+000000042", "00000000042", "x"] {
            assert!(!is_drawn(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_server_draws_what_we_choose(id in ".{0,40}") {
            let chosen = number(&id).to_string();
            prop_assert!(chosen.len() == 10 && !is_drawn(&chosen), "{}", chosen);
        }
    }
}
