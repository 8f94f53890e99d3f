//! Charts as SVG, from a few lines of our own: lines over logarithmic axes, and bars.
//!
//! Invariants: every axis has a name, a unit and ticks; every line has its name beside it in the
//! legend; text from outside is escaped.

use std::fmt::Write as _;

use super::short;

/// Width of a chart in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 52.0;
/// Height of a line of the legend.
const LEGEND: f64 = 19.0;

/// Colours that can be told apart, also by most who see few.
pub(super) const COLOURS: [&str; 12] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#5b5b5b",
    "#a6611a", "#b8b800", "#80b1d3", "#e7298a",
];

/// A line of a chart.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// How the horizontal axis is divided.
pub(super) enum Across {
    /// By powers of ten.
    Logarithmic,
    /// By how few values lie beyond: 50 %, 90 %, 99 %, 99.9 %.
    Rarity,
}

impl Across {
    /// Where a value stands on an axis without ends.
    fn place(&self, value: f64) -> f64 {
        match self {
            Self::Logarithmic => value.log10(),
            Self::Rarity => -(1.0 - value).log10(),
        }
    }

    /// The ticks from the least place to the greatest one: places and their names.
    fn ticks(&self, least: f64, most: f64) -> Vec<(f64, String)> {
        match self {
            Self::Logarithmic => powers(least, most),
            Self::Rarity => [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]
                .into_iter()
                .map(|share| (self.place(share), format!("{:.4}", share * 100.0)))
                .map(|(place, text)| {
                    (place, format!("{} %", text.trim_end_matches('0').trim_end_matches('.')))
                })
                .filter(|(place, _)| *place <= most + 1e-9)
                .collect(),
        }
    }
}

/// 1, 2 and 5 times the powers of ten, fewer of them where there are many.
fn powers(least: f64, most: f64) -> Vec<(f64, String)> {
    let steps: &[f64] = if most - least > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let mut ticks = Vec::new();
    for exponent in least.floor() as i32..=most.ceil() as i32 {
        for step in steps {
            let value = step * 10f64.powi(exponent);
            let place = value.log10();
            if place >= least - 1e-9 && place <= most + 1e-9 {
                ticks.push((place, short(value)));
            }
        }
    }
    ticks
}

/// Lines over axes of which the upright one is logarithmic. Points that have no place are left out.
pub(super) fn lines(across: &Across, names: (&str, &str), lines: &[Line]) -> String {
    let places = |line: &Line| -> Vec<(f64, f64)> {
        let placed = line.points.iter().map(|(x, y)| (across.place(*x), y.log10()));
        placed.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let placed: Vec<_> = lines.iter().map(places).collect();
    let all = || placed.iter().flatten();
    let (mut left, mut right) = bounds(all().map(|place| place.0));
    let (low, high) = bounds(all().map(|place| place.1));
    if left == right {
        (left, right) = (left - 0.5, right + 0.5);
    }
    // Room above and below, and a scale that does not make noise look like growth.
    let middle = f64::midpoint(low, high);
    let half = ((high - low) / 2.0 + 0.08).max(0.5);
    let (low, high) = (middle - half, middle + half);
    let x = |place: f64| LEFT + (place - left) / (right - left) * (WIDTH - LEFT - RIGHT);
    let y = |place: f64| TOP + (high - place) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let height = HEIGHT + lines.len() as f64 * LEGEND + 8.0;
    let mut svg = open(height);
    for (place, name) in across.ticks(left, right) {
        let at = x(place);
        let bottom = HEIGHT - BOTTOM;
        grid(&mut svg, (at, TOP), (at, bottom));
        text(&mut svg, (at, bottom + 17.0), "middle", &name);
    }
    for (place, name) in powers(low, high) {
        let at = y(place);
        grid(&mut svg, (LEFT, at), (WIDTH - RIGHT, at));
        text(&mut svg, (LEFT - 7.0, at + 4.0), "end", &name);
    }
    text(&mut svg, ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 14.0), "middle", names.0);
    let at = f64::midpoint(TOP, HEIGHT - BOTTOM);
    let name = escape(names.1);
    let _ = writeln!(
        svg,
        "<text transform='translate(15 {at:.0}) rotate(-90)' text-anchor='middle'>{name}</text>"
    );
    for (n, (line, places)) in lines.iter().zip(&placed).enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let points: Vec<String> =
            places.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
        let points = points.join(" ");
        let _ = writeln!(
            svg,
            "<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2'/>"
        );
        for (px, py) in places.iter().filter(|_| places.len() <= 12) {
            let (cx, cy) = (x(*px), y(*py));
            let _ = writeln!(svg, "<circle cx='{cx:.1}' cy='{cy:.1}' r='3.5' fill='{colour}'/>");
        }
        let at = HEIGHT + 10.0 + n as f64 * LEGEND;
        let _ = writeln!(
            svg,
            "<rect x='{LEFT}' y='{:.1}' width='18' height='4' fill='{colour}'/>",
            at - 6.0
        );
        text(&mut svg, (LEFT + 26.0, at), "start", &line.name);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Rows beside their targets: a name, how many times better than its target, and what is shown. What
/// is right of the middle meets it.
pub(super) fn overview(rows: &[(String, f64, String)]) -> String {
    const MIDDLE: f64 = 545.0;
    /// Pixels of a factor of ten, and how far a bar may reach.
    const TENFOLD: f64 = 60.0;
    const REACH: f64 = 78.0;
    const EACH: f64 = 21.0;
    let height = rows.len() as f64 * EACH + 26.0;
    let mut svg = open(height);
    for (n, (name, better, shown)) in rows.iter().enumerate() {
        let y = n as f64 * EACH + 15.0;
        let length = (better.log10() * TENFOLD).clamp(-REACH, REACH);
        let (from, length) =
            if length < 0.0 { (MIDDLE + length, -length) } else { (MIDDLE, length) };
        let colour = if *better >= 1.0 { "#009e73" } else { "#d55e00" };
        let top = y - 11.0;
        let width = length.max(1.5);
        let _ = writeln!(
            svg,
            "<rect x='{from:.1}' y='{top:.1}' width='{width:.1}' height='14' fill='{colour}'/>"
        );
        text(&mut svg, (MIDDLE - REACH - 8.0, y), "end", name);
        text(&mut svg, (WIDTH - 2.0, y), "end", shown);
    }
    let bottom = height - 22.0;
    let _ =
        writeln!(svg, "<line x1='{MIDDLE}' y1='0' x2='{MIDDLE}' y2='{bottom:.0}' stroke='#333'/>");
    for (factor, name) in [(0.1, "a tenth"), (1.0, "target"), (10.0, "ten times")] {
        let at = MIDDLE + f64::log10(factor) * TENFOLD;
        text(&mut svg, (at, height - 6.0), "middle", name);
    }
    svg.push_str("</svg>\n");
    svg
}

/// One bar of parts: names, lengths in `unit` and numbers of colours, beside each other; each with its
/// share.
pub(super) fn parts(unit: &str, parts: &[(String, f64, usize)]) -> String {
    let total: f64 = parts.iter().map(|part| part.1.max(0.0)).sum();
    let mut svg = open(40.0 + parts.len() as f64 * LEGEND);
    let mut at = 0.0;
    for (n, (name, length, colour)) in parts.iter().enumerate() {
        let colour = COLOURS[colour % COLOURS.len()];
        let width = length.max(0.0) / total.max(f64::MIN_POSITIVE) * WIDTH;
        let _ = writeln!(
            svg,
            "<rect x='{at:.1}' y='2' width='{width:.1}' height='24' fill='{colour}'/>"
        );
        at += width;
        let y = 44.0 + n as f64 * LEGEND;
        let top = y - 9.0;
        let _ = writeln!(svg, "<rect x='0' y='{top:.0}' width='10' height='10' fill='{colour}'/>");
        let share = length / total * 100.0;
        text(&mut svg, (18.0, y), "start", &format!("{name}: {length:.0} {unit}, {share:.1} %"));
    }
    svg.push_str("</svg>\n");
    svg
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    if least.is_finite() { (least, most) } else { (0.0, 0.0) }
}

fn open(height: f64) -> String {
    format!(
        "<svg viewBox='0 0 {WIDTH} {height:.0}' width='{WIDTH}' height='{height:.0}' role='img'>\n"
    )
}

fn grid(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ =
        writeln!(svg, "<line x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}' stroke='#ddd'/>");
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(svg, "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{text}</text>");
}

/// Text that means itself in HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_frame_and_say_their_names() {
        let line = Line { name: "a < b".into(), points: vec![(1e3, 1.0), (1e6, 50.0), (0.0, 1.0)] };
        let svg = lines(&Across::Logarithmic, ("messages", "µs"), &[line]);
        assert!(svg.contains("a &lt; b") && svg.contains(">messages<") && svg.contains(">µs<"));
        let points = svg.split("points='").nth(1).unwrap().split('\'').next().unwrap();
        let points: Vec<(f64, f64)> = points
            .split(' ')
            .map(|point| point.split_once(',').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert_eq!(points.len(), 2, "a point at zero has no place");
        assert_eq!((points[0].0, points[1].0), (LEFT, WIDTH - RIGHT));
        assert!(points.iter().all(|(_, y)| (TOP..=HEIGHT - BOTTOM).contains(y)));
    }

    #[test]
    fn parts_fill_the_bar() {
        let svg = parts("ns", &[("one".into(), 30.0, 0), ("two".into(), 90.0, 1)]);
        assert!(svg.contains("width='180.0'") && svg.contains("width='540.0'"));
        assert!(svg.contains("two: 90 ns, 75.0 %"));
    }

    #[test]
    fn nothing_to_show_is_no_reason_to_fail() {
        assert!(lines(&Across::Rarity, ("share", "µs"), &[]).ends_with("</svg>\n"));
    }
}
