//! Numbers, sizes, times and foreign text, as people read them.

use std::borrow::Cow;

/// `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 file`, `12,345 files`.
pub fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// `812 B`, `1.5 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let (mut size, mut unit) = (number as f64 / 1024.0, 0);
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// `0.42 s`, `12 s`, `3 min 07 s`, `2 h 15 min`.
pub fn seconds(number: f64) -> String {
    let whole = number.round() as u64;
    match whole {
        _ if number < 9.95 && number.fract() != 0.0 => format!("{number:.2} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// The beginning of an id, enough to tell it from others.
pub fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

/// Text without control characters, which could rewrite a terminal or fake a line.
pub fn escaped(text: &str) -> Cow<'_, str> {
    without(text, is_unprintable)
}

/// The same for text of many lines: it keeps its lines and tabs.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    without(text, |character| !matches!(character, '\n' | '\t') && is_unprintable(character))
}

fn without(text: &str, is_unwanted: fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unwanted(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, and those that turn the direction of writing.
fn is_unprintable(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".into(), "0 files".into()));
    }

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        let cases = [
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
        ];
        for (number, expected) in cases {
            assert_eq!(bytes(number), expected);
        }
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn times_grow_coarser_as_they_grow_longer() {
        let cases = [
            (0.0, "0 s"),
            (0.417, "0.42 s"),
            (59.4, "59 s"),
            (187.0, "3 min 07 s"),
            (8100.0, "2 h 15 min"),
        ];
        for (number, expected) in cases {
            assert_eq!(seconds(number), expected);
        }
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(escaped("ä b/☃.txt"), "ä b/☃.txt");
        assert_eq!(escaped("a\u{1b}[2J\nb\u{202e}"), r"a\u{1b}[2J\nb\u{202e}");
        assert_eq!(escaped_lines("a\r\n\tb\u{1b}"), "a\\r\n\tb\\u{1b}");
    }
}
