//! What a destination's window did over time, drawn as SVG: three panels above one axis of seconds.
//!
//! Nothing but text is needed for that, so nothing but text is used.

use std::fmt::Write as _;

use mesh_common::delivery::testing::{Outcome, SCENARIO_TIME};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const PANEL: f64 = 150.0;
const GAP: f64 = 34.0;
/// Columns of the drawing per simulated second.
const PER_SECOND: usize = 2;

/// A line in a panel.
struct Line {
    name: &'static str,
    colour: &'static str,
    /// One value per column.
    values: Vec<f64>,
}

/// What happened, column by column.
struct Columns {
    limit: Vec<f64>,
    in_flight: Vec<f64>,
    successes: Vec<f64>,
    timeouts: Vec<f64>,
}

/// A whole drawing: limit and transfers in flight; successes; time-outs.
#[must_use]
pub fn drawn(title: &str, outcome: &Outcome) -> String {
    let columns = Columns::of(outcome);
    let panels = [
        vec![
            Line::new("limit", "#1f5fa8", columns.limit),
            Line::new("in flight", "#e08214", columns.in_flight),
        ],
        vec![Line::new(
            "successes per second",
            "#2a7f3f",
            columns.successes,
        )],
        vec![Line::new(
            "time-outs per second",
            "#b2182b",
            columns.timeouts,
        )],
    ];
    let height = TOP + 3.0 * (PANEL + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{title}</text>\n"
    );
    for (number, lines) in (0_u8..).zip(&panels) {
        let top = TOP + f64::from(number) * (PANEL + GAP);
        draw_panel(&mut svg, top, lines);
    }
    svg.push_str("</svg>\n");
    svg
}

impl Line {
    fn new(name: &'static str, colour: &'static str, values: Vec<f64>) -> Self {
        Self {
            name,
            colour,
            values,
        }
    }
}

impl Columns {
    fn of(outcome: &Outcome) -> Self {
        let count = usize::try_from(SCENARIO_TIME.as_secs()).unwrap_or(0) * PER_SECOND;
        let mut columns = Self {
            limit: vec![f64::NAN; count],
            in_flight: vec![f64::NAN; count],
            successes: vec![0.0; count],
            timeouts: vec![0.0; count],
        };
        for (second, point) in outcome.points() {
            let column = column_at(second).min(count - 1);
            columns.limit[column] = f64::from(point.limit);
            columns.in_flight[column] = f64::from(point.in_flight);
            columns.successes[column] += per_column(point.ok);
            columns.timeouts[column] += per_column(point.timed_out);
        }
        carry_on(&mut columns.limit);
        carry_on(&mut columns.in_flight);
        columns
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "seconds of a simulation are few and not negative"
)]
fn column_at(second: f64) -> usize {
    (second * PER_SECOND as f64) as usize
}

#[expect(clippy::cast_precision_loss, reason = "columns are few")]
fn per_column(happened: bool) -> f64 {
    if happened { PER_SECOND as f64 } else { 0.0 }
}

/// Where nothing ended, nothing changed.
fn carry_on(values: &mut [f64]) {
    let mut last = 0.0;
    for value in values {
        if value.is_nan() {
            *value = last;
        }
        last = *value;
    }
}

/// Draws frame, scales, legend and lines of one panel.
fn draw_panel(svg: &mut String, top: f64, lines: &[Line]) {
    let values = lines.iter().flat_map(|line| line.values.iter().copied());
    let most = scale_end(values.fold(1.0, f64::max));
    let (bottom, width) = (top + PANEL, WIDTH - LEFT - RIGHT);
    for step in 0_u8..=4 {
        let share = f64::from(step) / 4.0;
        let y = bottom - share * PANEL;
        push(
            svg,
            format_args!(
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                share * most,
            ),
        );
    }
    for minute_third in 0_u8..=9 {
        let seconds = f64::from(minute_third) * 20.0;
        let x = LEFT + width * seconds / SCENARIO_TIME.as_secs_f64();
        push(
            svg,
            format_args!(
                "<line x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"#eee\"/>\
                 <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{seconds} s</text>",
                bottom + 15.0,
            ),
        );
    }
    for (line, place) in lines.iter().zip(0_u8..) {
        draw_line(svg, top, most, line);
        push(
            svg,
            format_args!(
                "<text x=\"{}\" y=\"{}\" fill=\"{}\">{}</text>",
                LEFT + 8.0 + 70.0 * f64::from(place),
                top - 6.0,
                line.colour,
                line.name
            ),
        );
    }
}

fn draw_line(svg: &mut String, top: f64, most: f64, line: &Line) {
    let step = (WIDTH - LEFT - RIGHT) / (SCENARIO_TIME.as_secs_f64() * per_column(true));
    let mut x = LEFT;
    let mut points = String::new();
    for value in &line.values {
        let y = top + PANEL - PANEL * value / most;
        push(
            &mut points,
            format_args!("{x:.1},{y:.1} {:.1},{y:.1}", x + step),
        );
        x += step;
    }
    push(
        svg,
        format_args!(
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\" points=\"{}\"/>",
            line.colour,
            points.replace('\n', " ")
        ),
    );
}

/// The end of a scale that has room for `most`: a round number that four divides.
fn scale_end(most: f64) -> f64 {
    let steps = [4.0, 8.0, 12.0, 20.0, 40.0, 80.0, 120.0, 200.0, 400.0, 800.0];
    let fits = steps.into_iter().find(|&end| end >= most);
    fits.unwrap_or_else(|| (most / 400.0).ceil() * 400.0)
}

/// Adds a line of text; to a string that cannot fail.
fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use mesh_common::delivery::testing::SCENARIOS;

    use super::*;

    #[test]
    fn a_drawing_shows_three_panels_and_every_second() {
        let scenario = SCENARIOS[4];
        let svg = drawn(scenario.title, &scenario.run(1));
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert_eq!(svg.matches(">180 s<").count(), 3);
        assert!(svg.contains("black hole"));
        let points = svg.lines().find(|line| line.contains("<polyline")).unwrap();
        assert_eq!(points.matches(',').count(), 2 * 180 * PER_SECOND);
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn a_scale_has_room_for_its_values() {
        for (most, end) in [(1.0, 4.0), (4.1, 8.0), (100.0, 120.0), (1_650.0, 2_000.0)] {
            assert!((scale_end(most) - end).abs() < f64::EPSILON, "{most}");
        }
    }
}
