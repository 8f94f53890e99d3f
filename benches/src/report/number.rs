//! Numbers as people read them.
//!
//! Invariant: at most three digits are shown, except of counts.

/// A number with its unit, in the multiple of the unit that people read.
pub fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "µs" if value.abs() >= 999.5 => format!("{} ms", short(value / 1e3)),
        "B" if value.abs() >= 1e6 => format!("{} MB", short(value / 1e6)),
        "B" => format!("{} B", grouped(value.round() as i64)),
        "/s" => format!("{}/s", short(value)),
        _ => format!("{} {unit}", short(value)),
    }
}

/// A count with its thousands apart.
pub fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::from(if count < 0 { "-" } else { "" });
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with three digits and a letter for its thousands.
pub fn short(value: f64) -> String {
    let (value, letter) = match value.abs() {
        large if large >= 999.5e6 => (value / 1e9, " G"),
        large if large >= 999.5e3 => (value / 1e6, " M"),
        large if large >= 999.5 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        large if large >= 99.95 => 0,
        large if large >= 9.995 => 1,
        small if small < 0.0995 && small > 0.0 => 4,
        small if small < 0.9995 => 3,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    format!("{text}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_three_digits() {
        let shown = [0.0, 0.5, 1.25, 12.34, 123.4, 1_234.0, 999_700.0, 10_000_000.0].map(short);
        assert_eq!(shown, ["0", "0.5", "1.25", "12.3", "123", "1.23 k", "1 M", "10 M"]);
        assert_eq!(short(0.003_512), "0.0035");
        assert_eq!([0, 999, 1_000, -12_345_678].map(grouped), ["0", "999", "1,000", "-12,345,678"]);
        let units = [quantity(20_300.0, "µs"), quantity(3_180.0, "B"), quantity(7.9e5, "/s")];
        assert_eq!(units, ["20.3 ms", "3,180 B", "790 k/s"]);
    }
}
