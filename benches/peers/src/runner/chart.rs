//! The comparison as one HTML page with bars, which needs nothing but itself.

use std::fmt::Write as _;

use systole_peers_contract::Step;

use super::figures::{Figures, Line};
use super::table::{number, title, verdict};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;\
color:#1c2733;background:#fff}h1{font-size:1.5rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{color:#556}\
svg{display:block;width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:#1c2733}\
.peer{fill:#9aa8b8}.own{fill:#c8324a}.axis{stroke:#dde3ea}.spread{stroke:#1c2733}.faint{fill:#778}\
@media(prefers-color-scheme:dark){body{color:#dfe6ee;background:#12171d}p{color:#9ab}text{fill:#dfe6ee}\
.spread{stroke:#dfe6ee}.axis{stroke:#2b3540}.peer{fill:#5f6f80}}";

const ROW: f64 = 22.0;
const LABELS: f64 = 255.0;
const BARS: f64 = 470.0;
const WIDTH: f64 = 980.0;

/// The whole page.
pub(super) fn page(figures: &Figures, steps: &[Step]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Systole and its peers</title>\
         <style>{STYLE}</style><h1>Systole and its peers</h1><p>{}. Bars are on a logarithmic scale: \
         each line is a factor of ten. The number after a bar is how many times as fast Systole is with \
         the same count and durability. Thin lines go from the least to the greatest of all rounds.</p>",
        escape(&figures.machine().to_string())
    );
    for step in steps {
        let lines = figures.of(*step);
        if !lines.is_empty() {
            let _ = write!(page, "<h2>{}</h2>", escape(title(*step)));
            page.push_str(&bars(figures, &lines));
        }
    }
    let mut about: Vec<(&str, &str)> = Vec::new();
    for line in steps.iter().flat_map(|step| figures.of(*step)) {
        let system = (line.case.system.name, line.case.system.about);
        if !about.contains(&system) {
            about.push(system);
        }
    }
    page.push_str("<h2>Who they are</h2><ul>");
    for (name, text) in about {
        let _ = write!(page, "<li>{name}: {}</li>", escape(text));
    }
    for (name, why) in figures.lacking() {
        let _ = write!(page, "<li>{name} was not measured: {}</li>", escape(why));
    }
    for failure in figures.failed() {
        let _ = write!(page, "<li>failed: {}</li>", escape(failure));
    }
    page.push_str("</ul></html>\n");
    page
}

fn bars(figures: &Figures, lines: &[&Line]) -> String {
    let all = lines.iter().map(|line| line.figure());
    let greatest = all.clone().fold(1.0, |most: f64, figure| most.max(figure.greatest));
    let least = all.fold(f64::MAX, |least, figure| least.min(figure.least)).max(1e-3);
    let (from, to) = (least.log10().floor(), greatest.log10().ceil());
    let x = |value: f64| LABELS + (value.max(1e-3).log10() - from) / (to - from).max(1.0) * BARS;
    let height = ROW * lines.len() as f64 + 20.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
    let mut decade = from;
    while decade <= to {
        let at = x(10_f64.powf(decade));
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{at}\" x2=\"{at}\" y1=\"0\" y2=\"{}\"/><text class=\"faint\" \
             x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            height - 16.0,
            height - 3.0,
            number(10_f64.powf(decade)),
        );
        decade += 1.0;
    }
    for (index, line) in lines.iter().enumerate() {
        let y = ROW * index as f64;
        let (figure, middle) = (line.figure(), y + ROW / 2.0);
        let class = if line.case.is_own() { "own" } else { "peer" };
        let name = format!(
            "{} {} {}",
            line.case.system.name,
            line.case.durability.name(),
            number(line.case.messages as f64)
        );
        let ratio = figures.ratio(line);
        let mut beside = number(figure.median);
        if let Some(ratio) = ratio {
            let _ = write!(
                beside,
                " ({ratio:.2} x) {}",
                verdict(Some(ratio), line.case.target(line.step))
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"/>\
             <line class=\"spread\" x1=\"{}\" x2=\"{}\" y1=\"{middle}\" y2=\"{middle}\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            LABELS - 8.0,
            middle + 4.0,
            y + 3.0,
            (x(figure.median) - LABELS).max(1.0),
            ROW - 6.0,
            x(figure.least),
            x(figure.greatest),
            x(figure.greatest) + 8.0,
            middle + 4.0,
            escape(&beside),
        );
    }
    svg.push_str("</svg>");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
