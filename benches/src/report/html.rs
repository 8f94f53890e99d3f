//! The report as one page that needs nothing else: tables, and charts as SVG.

use std::fmt::Write as _;

use super::chart::{self, Across, Line, escape, lines, parts};
use super::table::{target, verdict};
use super::{Figure, Report, Row, grouped, quantity};

const STYLE: &str = "
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1c1c; max-width: 1080px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em; margin-bottom: .2em } h2 { font-size: 1.2em; margin-top: 2em }
h3 { font-size: 1em; margin: 1.4em 0 .3em }
table { border-collapse: collapse; width: 100% } th, td { padding: .3em .6em; text-align: left; vertical-align: top }
th { border-bottom: 2px solid #999; font-weight: 600 } td { border-bottom: 1px solid #e3e3e3 }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.beside { color: #666; font-size: .87em } .met { color: #00724f; font-weight: 600 } .missed { color: #b22a00; font-weight: 600 }
.group td { background: #f2f2f2; font-weight: 600 }
svg { max-width: 100%; height: auto; display: block } svg text { font: 12px system-ui, sans-serif; fill: #333 }
";

/// The whole page.
pub fn html(report: &Report) -> String {
    let mut page = String::from("<!doctype html><html lang='en'><meta charset='utf-8'>");
    let _ = write!(page, "<title>Systole: what was measured</title><style>{STYLE}</style>");
    head(&mut page, report);
    overview(&mut page, &report.rows);
    rows(&mut page, &report.rows);
    ceilings(&mut page, &report.ceilings);
    growth(&mut page, report);
    latencies(&mut page, report);
    stages(&mut page, report);
    instructions(&mut page, report);
    if !report.notes.is_empty() {
        page.push_str("<h2>Not measured</h2><ul>");
        for note in &report.notes {
            let _ = write!(page, "<li>{}</li>", escape(note));
        }
        page.push_str("</ul>");
    }
    page.push_str("</html>\n");
    page
}

fn head(page: &mut String, report: &Report) {
    let machine = &report.machine;
    let judged = report.rows.iter().filter_map(|row| row.met);
    let met = judged.clone().filter(|met| *met).count();
    let _ = write!(
        page,
        "<h1>Systole: what was measured beside what</h1>\
         <p>{} · commit {} · {} · scale {} · {:.0} s<br>load of one minute {} at the beginning, {} at \
         the end (the run itself makes 1 to 2) · files in {}</p>\
         <p>Figures say what this machine did at this moment. What stands beside each other was measured \
         in turn on the same bytes; medians, in brackets the least and the greatest round, then how many rounds. Only \
         ratios can be compared elsewhere. <b>{met} of {} targets are met.</b></p>",
        escape(&machine.hardware),
        escape(&machine.commit),
        escape(&machine.date),
        report.scale,
        report.seconds,
        machine.load.0,
        machine.load.1,
        escape(&machine.files),
        judged.count(),
    );
}

/// How far each row is from its target, at a glance.
fn overview(page: &mut String, rows: &[Row]) {
    let judged: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let better = row.target.margin(row.measured.median)?;
            let shown = quantity(row.measured.median, row.unit);
            Some((row.what.clone(), better, format!("{shown}, {}", target(row))))
        })
        .collect();
    if !judged.is_empty() {
        page.push_str(
            "<h2>Against the targets, logarithmic: right of the line meets its target</h2>",
        );
        page.push_str(&chart::overview(&judged));
    }
}

fn rows(page: &mut String, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Rows</h2><table><tr><th>what<th>measured<th>[from – to] rounds<th>target<th>met</tr>",
    );
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = row.group;
            let _ = write!(page, "<tr class='group'><td colspan='5'>{group}</td></tr>");
        }
        let mut beside = String::new();
        for figure in &row.figures {
            let text = format!("{}: {}", figure.what, figure.spread.text(figure.unit));
            let _ = write!(beside, "<br>{}", escape(&text));
        }
        for text in [&row.size, &row.note].into_iter().filter(|text| !text.is_empty()) {
            let _ = write!(beside, "<br><i>{}</i>", escape(text));
        }
        let class = match row.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        let _ = write!(
            page,
            "<tr><td>{}<span class='beside'>{beside}</span><td class='number'>{}\
             <td class='number'>{}<td class='number'>{}<td class='{class}'>{}</tr>",
            escape(&row.what),
            quantity(row.measured.median, row.unit),
            row.measured.range(row.unit),
            target(row),
            verdict(row.met),
        );
    }
    page.push_str("</table>");
}

fn ceilings(page: &mut String, ceilings: &[Figure]) {
    if ceilings.is_empty() {
        return;
    }
    page.push_str("<h2>What the machine allows, in the same run</h2><table>");
    for figure in ceilings {
        let what = escape(&figure.what);
        let value = figure.spread.text(figure.unit);
        let _ = write!(page, "<tr><td>{what}<td class='number'>{value}</tr>");
    }
    page.push_str("</table>");
}

fn growth(page: &mut String, report: &Report) {
    let mut charts: Vec<&str> = report.curves.iter().map(|curve| curve.chart).collect();
    charts.dedup();
    if !charts.is_empty() {
        page.push_str("<h2>Growth, both axes logarithmic</h2>");
    }
    for chart in charts {
        let curves: Vec<_> = report.curves.iter().filter(|curve| curve.chart == chart).collect();
        let drawn: Vec<_> = curves
            .iter()
            .map(|curve| Line { name: curve.name.clone(), points: curve.points.clone() })
            .collect();
        let axes = curves.first().map_or(("", ""), |curve| curve.axes);
        let _ = write!(page, "<h3>{}</h3>", escape(chart));
        page.push_str(&lines(&Across::Logarithmic, axes, &drawn));
    }
}

fn latencies(page: &mut String, report: &Report) {
    let mut charts: Vec<&str> = report.distributions.iter().map(|one| one.chart).collect();
    charts.dedup();
    if !charts.is_empty() {
        page.push_str("<h2>Latencies</h2>");
    }
    for chart in charts {
        let drawn: Vec<_> = report
            .distributions
            .iter()
            .filter(|one| one.chart == chart)
            .map(|one| Line {
                name: format!("{} ({} values)", one.name, one.count),
                points: one.points.clone(),
            })
            .collect();
        let _ = write!(page, "<h3>{}</h3>", escape(chart));
        let axes = ("share of the values that is no greater", "microseconds");
        page.push_str(&lines(&Across::Rarity, axes, &drawn));
    }
}

fn stages(page: &mut String, report: &Report) {
    if !report.stages.is_empty() {
        page.push_str(
            "<h2>Where each microsecond goes</h2><p>As the engine measures itself: nanoseconds a \
             message, over all threads together; by the clock it takes less where threads work at once, \
             and more where they wait. What comes once for many messages (a head, a batch) is divided \
             among them.</p>",
        );
    }
    for stages in &report.stages {
        let (clock, threads) = (stages.by_the_clock, stages.of_threads());
        let workload = escape(&stages.workload);
        let _ = write!(
            page,
            "<h3>{workload}</h3><p class='beside'>{clock:.0} ns a message by the clock, {threads:.0} ns \
             in the stages of all threads; {} messages</p>",
            grouped(stages.messages as i64),
        );
        let messages = stages.messages as f64;
        // A stage has the same colour in every bar.
        let colour =
            |name| systole::Stage::ALL.iter().position(|stage| stage.name() == name).unwrap_or(0);
        let each = stages.stages.iter();
        let each: Vec<_> = each
            .map(|one| (one.name.to_owned(), one.nanoseconds / messages, colour(one.name)))
            .collect();
        page.push_str(&parts("ns a message", &each));
    }
}

fn instructions(page: &mut String, report: &Report) {
    if report.instructions.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Instructions a message</h2><p>Counted by callgrind between two sizes, twice; they do not \
         depend on the neighbours.</p><table><tr><th>phase<th>first<th>second<th>apart<th>sizes</tr>",
    );
    for counted in &report.instructions {
        let first = counted.per_message.first().copied().unwrap_or(f64::NAN);
        let second = counted.per_message.get(1).copied().unwrap_or(f64::NAN);
        let apart = (second / first - 1.0).abs() * 100.0;
        let (few, many) = counted.sizes;
        let _ = write!(
            page,
            "<tr><td>{}<td class='number'>{first:.0}<td class='number'>{second:.0}\
             <td class='number'>{apart:.2} %<td class='number'>{few} and {many}</tr>",
            escape(&counted.phase),
        );
    }
    page.push_str("</table>");
}
