//! A plot as SVG inside an HTML figure.
//!
//! Drawn here and not by a plotting crate: those write colours and sizes into every element, where this page needs classes (light
//! and dark, one palette), and have no percentile axis. It is small: polylines between axes.

use std::fmt::Write as _;

use super::axis::Axis;

/// The drawing's size. Narrow, so that its text is still read when a phone shows it at three quarters.
const WIDTH: f64 = 540.0;
const HEIGHT: f64 = 300.0;
/// Room for the axes' text.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 44.0;
/// Above the plot: the y axis' label, then rows for the marks' labels.
const TOP: f64 = 22.0;
const MARK_ROW: f64 = 15.0;
const MARK_ROWS: usize = 3;
/// About how wide a letter is.
const LETTER: f64 = 6.3;

/// A plot.
#[derive(Debug, Clone)]
pub struct Plot {
    pub title: String,
    /// What is seen, in a sentence.
    pub about: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    /// Vertical lines, each with its place on the x axis and its label.
    pub marks: Vec<(f64, String)>,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Series {
    /// For the legend; empty: not in it.
    pub label: String,
    /// 0 to 5: a colour of the page's palette.
    pub colour: usize,
    /// Dashed: where the colour already says something else.
    pub dashed: bool,
    /// The area below is tinted.
    pub filled: bool,
    /// `None`: nothing was measured; the line is interrupted.
    pub points: Vec<Option<(f64, f64)>>,
}

impl Series {
    /// A plain line.
    pub fn line(label: &str, colour: usize, points: Vec<Option<(f64, f64)>>) -> Self {
        Series { label: label.into(), colour, dashed: false, filled: false, points }
    }
}

impl Plot {
    /// The figure. `id` must be unique on the page.
    pub fn figure(&self, id: &str) -> String {
        let rows = self.mark_rows();
        let above = TOP + rows.iter().map(|row| row.map_or(0.0, |row| (row + 1) as f64 * MARK_ROW)).fold(0.0, f64::max);
        let frame = Frame { above, height: HEIGHT - BOTTOM - TOP };
        let mut svg = String::new();
        self.draw_axes(&frame, &mut svg);
        self.draw_marks(&frame, &rows, &mut svg);
        for series in &self.series {
            series.draw(self, &frame, &mut svg);
        }
        format!(
            "<figure class=\"plot\"><figcaption><h3>{}</h3><p>{}</p></figcaption>{}\
             <svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{svg}</svg></figure>\n",
            escape(&self.title),
            escape(&self.about),
            self.legend(),
            frame.above + frame.height + BOTTOM,
            escape(&self.title),
            escape(&format!("{} Vertical: {}. Horizontal: {}.", self.about, self.y.label, self.x.label)),
        )
    }

    /// A line without a label needs none: the title says what it is.
    fn legend(&self) -> String {
        let named = self.series.iter().filter(|series| !series.label.is_empty());
        let entries = named.map(|series| {
            let dashed = if series.dashed { " dashed" } else { "" };
            format!("<li><i class=\"c{}{dashed}\"></i>{}</li>", series.colour, escape(&series.label))
        });
        let entries = entries.collect::<String>();
        if entries.is_empty() { entries } else { format!("<ul class=\"legend\">{entries}</ul>") }
    }

    fn draw_axes(&self, frame: &Frame, svg: &mut String) {
        let bottom = frame.above + frame.height;
        for tick in &self.y.ticks {
            let y = frame.y(tick.place);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>", WIDTH - RIGHT);
            let _ = write!(svg, "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", LEFT - 7.0, y + 4.0, escape(&tick.text));
        }
        for tick in &self.x.ticks {
            let x = frame.x(tick.place);
            let _ = write!(svg, "<path class=\"axis\" d=\"M{x:.1} {bottom:.1}v5\"/>");
            // The last one would stick out.
            let class = if tick.place > 0.94 { "end" } else { "middle" };
            let x = if tick.place > 0.94 { x + RIGHT - 2.0 } else { x };
            let _ = write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", bottom + 18.0, escape(&tick.text));
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {bottom:.1}H{:.1}\"/>", WIDTH - RIGHT);
        let _ = write!(svg, "<text class=\"name\" x=\"4\" y=\"13\">{}</text>", escape(&self.y.label));
        let _ =
            write!(svg, "<text class=\"name end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", WIDTH - RIGHT, bottom + 37.0, escape(&self.x.label));
    }

    /// For each mark the row above the plot in which its label has room; `None`: in none.
    fn mark_rows(&self) -> Vec<Option<usize>> {
        let mut ends = [f64::NEG_INFINITY; MARK_ROWS];
        let row_of = |(at, label): &(f64, String)| {
            let (start, end) = label_span(LEFT + self.x.place(*at)? * (WIDTH - LEFT - RIGHT), label);
            let row = ends.iter().position(|&taken| taken + LETTER < start)?;
            ends[row] = end;
            Some(row)
        };
        self.marks.iter().map(row_of).collect()
    }

    fn draw_marks(&self, frame: &Frame, rows: &[Option<usize>], svg: &mut String) {
        for ((at, label), row) in self.marks.iter().zip(rows) {
            let Some(place) = self.x.place(*at) else { continue };
            let x = frame.x(place);
            let top = frame.above - row.map_or(0.0, |row| row as f64 * MARK_ROW);
            let bottom = frame.above + frame.height;
            let label = escape(label);
            let _ = write!(svg, "<path class=\"mark\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"><title>{label}</title></path>");
            if row.is_some() {
                let (start, _) = label_span(x, &label);
                let _ = write!(svg, "<text class=\"mark\" x=\"{start:.1}\" y=\"{:.1}\">{label}</text>", top - 5.0);
            }
        }
    }
}

/// From where to where a mark's label goes: around its line, but not over the edges.
fn label_span(x: f64, label: &str) -> (f64, f64) {
    let width = label.chars().count() as f64 * LETTER;
    let start = (x - width / 2.0).min(WIDTH - width - 2.0).max(LEFT - 30.0);
    (start, start + width)
}

/// Where the plot itself is in the drawing.
struct Frame {
    above: f64,
    height: f64,
}

impl Frame {
    fn x(&self, place: f64) -> f64 {
        LEFT + place * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, place: f64) -> f64 {
        self.above + (1.0 - place) * self.height
    }
}

impl Series {
    fn draw(&self, plot: &Plot, frame: &Frame, svg: &mut String) {
        let place = |point: &Option<(f64, f64)>| {
            let (x, y) = (*point)?;
            Some((frame.x(plot.x.place(x)?), frame.y(plot.y.place(y)?)))
        };
        let places: Vec<Option<(f64, f64)>> = self.points.iter().map(place).collect();
        let dashed = if self.dashed { " dashed" } else { "" };
        for run in places.split(Option::is_none) {
            let run: Vec<(f64, f64)> = run.iter().flatten().copied().collect();
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            if run.len() == 1 {
                // A line of one point would not be seen.
                let _ = write!(svg, "<circle class=\"c{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", self.colour, first.0, first.1);
                continue;
            }
            let mut line = String::new();
            for (index, (x, y)) in run.iter().enumerate() {
                let _ = write!(line, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
            }
            if self.filled {
                let bottom = frame.above + frame.height;
                let area = format!("{line}L{:.1} {bottom:.1}L{:.1} {bottom:.1}Z", last.0, first.0);
                let _ = write!(svg, "<path class=\"area c{}\" d=\"{area}\"/>", self.colour);
            }
            let _ = write!(svg, "<path class=\"line c{}{dashed}\" d=\"{line}\"/>", self.colour);
        }
    }
}

/// Text for HTML, in elements and in attributes. What XML does not allow at all becomes a replacement character.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\r' => {}
            _ if character.is_control() || matches!(character, '\u{FFFE}' | '\u{FFFF}') => escaped.push('\u{FFFD}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(marks: &[(f64, &str)], points: Vec<Option<(f64, f64)>>) -> Plot {
        Plot {
            title: "Held <b>".into(),
            about: String::new(),
            x: Axis::time(100.0),
            y: Axis::counted("devices", 10.0),
            series: vec![Series::line("held", 0, points)],
            marks: marks.iter().map(|&(at, label)| (at, label.to_owned())).collect(),
        }
    }

    #[test]
    fn a_gap_interrupts_the_line_and_a_lone_point_is_a_dot() {
        let points = vec![Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.0)), None];
        let figure = plot(&[], points).figure("a");
        assert_eq!(figure.matches("class=\"line").count(), 1);
        assert_eq!(figure.matches("<circle").count(), 1);
    }

    #[test]
    fn labels_of_marks_do_not_touch() {
        let crowded = [(10.0, "steady"), (11.0, "wake all"), (12.0, "storm"), (13.0, "too many"), (90.0, "far away")];
        let plot = plot(&crowded, Vec::new());
        assert_eq!(plot.mark_rows(), [Some(0), Some(1), Some(2), None, Some(0)]);
        assert_eq!(plot.figure("a").matches("<text class=\"mark\"").count(), 4);
    }

    #[test]
    fn titles_are_text() {
        assert!(plot(&[], Vec::new()).figure("a").contains("Held &lt;b&gt;"));
        assert_eq!(escape("<&>\"'\u{1}\r\n"), "&lt;&amp;&gt;&quot;&#39;\u{FFFD}\n");
    }
}
