//! One chart as an SVG picture: axes with ticks, lines with points, labels.
//!
//! Colours are CSS variables of the page (`--s0`, `--s1`, …), so that a chart follows
//! its light and dark themes.

use std::fmt::Write;

use crate::table::{escape, group};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;

/// What one axis shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) log: bool,
    /// Linear axes only: reach down to 0.
    pub(crate) from_zero: bool,
}

/// A line, its points, or both.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// Shown when the pointer rests on a point.
    pub(crate) name: String,
    /// Position in the palette.
    pub(crate) colour: usize,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) line: bool,
    pub(crate) dots: bool,
    /// Written beside the last point.
    pub(crate) label: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

/// Least and largest x and y of several charts: drawn to one scale, they can be compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    x: (f64, f64),
    y: (f64, f64),
}

impl Extent {
    pub(crate) fn of(charts: &[Chart]) -> Self {
        let points = || charts.iter().flat_map(|c| &c.series).flat_map(|s| &s.points);
        Extent { x: range(points().map(|p| p.0)), y: range(points().map(|p| p.1)) }
    }
}

/// Of no value: a range that can be drawn.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let wider = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    let range = values.fold((f64::INFINITY, f64::NEG_INFINITY), wider);
    if range.0 <= range.1 { range } else { (1.0, 10.0) }
}

/// A range of values on a range of pixels.
struct Scale {
    log: bool,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(axis: Axis, (low, high): (f64, f64), from: f64, to: f64) -> Self {
        if axis.log {
            let low = low.max(1e-3);
            let high = high.max(low);
            // Room for points at the borders, and for a range of one value.
            return Scale { log: true, low: low / 1.15, high: high * 1.15, from, to };
        }
        let pad = if high > low { (high - low) * 0.06 } else { high.abs().max(1.0) * 0.1 };
        let low = if axis.from_zero { 0.0 } else { low - pad };
        Scale { log: false, low, high: high + pad, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(1e-3) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    /// Round values inside the range, four to nine of them.
    fn ticks(&self) -> Vec<f64> {
        if self.log { self.log_ticks() } else { self.linear_ticks() }
    }

    fn log_ticks(&self) -> Vec<f64> {
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let with = |steps: &[f64]| -> Vec<f64> {
            let values = decades.clone().flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
            values.filter(|v| (self.low..=self.high).contains(v)).collect()
        };
        let choices: [&[f64]; 3] = [&[1.0], &[1.0, 3.0], &[1.0, 2.0, 5.0]];
        let enough = choices.iter().map(|steps| with(steps)).find(|ticks| ticks.len() >= 4);
        enough.unwrap_or_else(|| {
            let fine = with(&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]);
            if fine.len() >= 2 { fine } else { self.linear_ticks() }
        })
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let raw = (self.high - self.low) / 5.0;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|s| s * power);
        let step = step.into_iter().find(|&s| s >= raw).unwrap_or(10.0 * power);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

impl Chart {
    /// The picture, at least as large as `extent`.
    pub(crate) fn svg(&self, extent: Extent) -> String {
        let x = Scale::new(self.x, extent.x, LEFT, WIDTH - RIGHT);
        let y = Scale::new(self.y, extent.y, HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\
             <text class=\"title\" x=\"{LEFT}\" y=\"18\">{title}</text>",
            title = escape(&self.title)
        );
        self.grid(&mut svg, &x, &y);
        for series in &self.series {
            draw(&mut svg, series, &x, &y);
        }
        self.labels(&mut svg, &x, &y);
        svg.push_str("</svg>\n");
        svg
    }

    fn grid(&self, svg: &mut String, x: &Scale, y: &Scale) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for tick in y.ticks() {
            let at = y.at(tick);
            add(svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>"));
            add(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                    LEFT - 7.0,
                    at + 4.0,
                    number(tick)
                ),
            );
        }
        for tick in x.ticks() {
            let at = x.at(tick);
            add(svg, format_args!("<path class=\"axis\" d=\"M{at:.1} {bottom}v4\"/>"));
            add(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                    bottom + 17.0,
                    number(tick)
                ),
            );
        }
        add(svg, format_args!("<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>"));
        let middle = (TOP + bottom) / 2.0;
        add(
            svg,
            format_args!(
                "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text class=\"label\" transform=\"translate(14 {middle}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
                (LEFT + right) / 2.0,
                HEIGHT - 8.0,
                escape(self.x.label),
                escape(self.y.label)
            ),
        );
    }

    /// Labels beside points, where they lie on no point and on no other label.
    fn labels(&self, svg: &mut String, x: &Scale, y: &Scale) {
        let dots = self.series.iter().filter(|s| s.dots).flat_map(|s| &s.points);
        let mut taken: Vec<Area> =
            dots.map(|&(px, py)| Area::around((x.at(px), y.at(py)), (5.0, 5.0))).collect();
        for series in &self.series {
            let (Some(label), Some(&(px, py))) = (&series.label, series.points.last()) else {
                continue;
            };
            let dot = (x.at(px), y.at(py));
            let half = (0.5 * LETTER * label.chars().count() as f64, 7.0);
            let free = |middle: &(f64, f64)| {
                let area = Area::around(*middle, half);
                area.is_in_plot() && taken.iter().all(|other| !area.meets(other))
            };
            let beside = (dot.0 + 8.0 + half.0, dot.1);
            let middle = places(dot, half).find(free).unwrap_or(beside);
            taken.push(Area::around(middle, half));
            // Far from its point a label needs a line to it.
            let (dx, dy) = ((middle.0 - dot.0).abs() - half.0, (middle.1 - dot.1).abs() - half.1);
            if dx.max(dy) > 12.0 {
                let (from_x, from_y) = dot;
                let to_x = from_x.clamp(middle.0 - half.0, middle.0 + half.0);
                let to_y = from_y.clamp(middle.1 - half.1, middle.1 + half.1);
                add(
                    svg,
                    format_args!(
                        "<path class=\"grid\" d=\"M{from_x:.1} {from_y:.1}L{to_x:.1} {to_y:.1}\"/>"
                    ),
                );
            }
            // Beside its point a label begins or ends there, whatever its letters are.
            let (anchor, text_x) = match middle.0 - dot.0 {
                right if right > half.0 => ("start", middle.0 - half.0),
                left if left < -half.0 => ("end", middle.0 + half.0),
                _ => ("middle", middle.0),
            };
            add(
                svg,
                format_args!(
                    "<text class=\"tick\" x=\"{text_x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                    middle.1 + 4.0,
                    escape(label)
                ),
            );
        }
    }
}

/// Width of a letter, in the mean.
const LETTER: f64 = 7.0;

/// Where the middle of a label may lie, the best place first: right or left of its point,
/// below or above it, then further away.
fn places(dot: (f64, f64), half: (f64, f64)) -> impl Iterator<Item = (f64, f64)> {
    let (side, below) = (8.0 + half.0, 8.0 + half.1);
    (0..20).flat_map(move |i| {
        let away = 8.0 * f64::from(i);
        [
            (side, away),
            (side, -away),
            (-side, away),
            (-side, -away),
            (0.0, below + away),
            (0.0, -below - away),
        ]
        .map(|(dx, dy)| (dot.0 + dx, dot.1 + dy))
    })
}

/// A rectangle of the picture.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn around(middle: (f64, f64), half: (f64, f64)) -> Self {
        Area {
            left: middle.0 - half.0,
            top: middle.1 - half.1,
            right: middle.0 + half.0,
            bottom: middle.1 + half.1,
        }
    }

    fn meets(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn is_in_plot(&self) -> bool {
        self.left >= LEFT
            && self.right <= WIDTH - 2.0
            && self.top >= TOP
            && self.bottom <= HEIGHT - BOTTOM
    }
}

fn draw(svg: &mut String, series: &Series, x: &Scale, y: &Scale) {
    let colour = series.colour;
    if series.line && series.points.len() > 1 {
        let mut path = String::new();
        for (i, &(px, py)) in series.points.iter().enumerate() {
            let step = if i == 0 { 'M' } else { 'L' };
            add(&mut path, format_args!("{step}{:.1} {:.1}", x.at(px), y.at(py)));
        }
        let name = escape(&series.name);
        add(
            svg,
            format_args!(
                "<path class=\"line\" style=\"stroke:var(--s{colour})\" d=\"{path}\"><title>{name}</title></path>"
            ),
        );
    }
    if series.dots {
        for &(px, py) in &series.points {
            add(
                svg,
                format_args!(
                    "<circle class=\"dot\" style=\"fill:var(--s{colour})\" cx=\"{:.1}\" cy=\"{:.1}\" \
                 r=\"4\"><title>{}: {}, {}</title></circle>",
                    x.at(px),
                    y.at(py),
                    escape(&series.name),
                    number(px),
                    number(py)
                ),
            );
        }
    }
}

/// Few digits: 0.25, 1.5, 12, 1,200.
fn number(value: f64) -> String {
    if value >= 1000.0 {
        return group(value.round() as u64);
    }
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn add(svg: &mut String, what: std::fmt::Arguments<'_>) {
    svg.write_fmt(what).expect("strings take all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(log: bool, low: f64, high: f64) -> Scale {
        Scale { log, low, high, from: 0.0, to: 100.0 }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(scale(true, 0.9, 12_000.0).ticks(), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(scale(true, 30.0, 700.0).ticks(), [50.0, 100.0, 200.0, 500.0]);
        assert_eq!(scale(false, -0.2, 4.1).ticks(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        for (low, high) in [(5.0, 5.0 * 1.3), (0.001, 0.0013), (98.0, 131.0)] {
            let ticks = scale(true, low, high).ticks();
            assert!(
                ticks.len() >= 2 && ticks.iter().all(|t| (low..=high).contains(t)),
                "{ticks:?}"
            );
        }
    }

    #[test]
    fn a_scale_maps_its_ends_to_the_ends_of_the_axis() {
        for log in [false, true] {
            let scale = scale(log, 2.0, 50.0);
            assert!(scale.at(2.0).abs() < 1e-9 && (scale.at(50.0) - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn one_point_and_no_point_make_pictures_without_nan() {
        let axis = |log| Axis { label: "x < y", log, from_zero: false };
        for points in [vec![], vec![(3.0, 0.0)]] {
            for log in [false, true] {
                let series = Series {
                    name: "a & b".into(),
                    colour: 0,
                    points: points.clone(),
                    line: true,
                    dots: true,
                    label: Some("a".into()),
                };
                let title = String::from("<t>");
                let chart = Chart { title, x: axis(log), y: axis(log), series: vec![series] };
                let svg = chart.svg(Extent::of(std::slice::from_ref(&chart)));
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert!(svg.contains("&lt;t&gt;") && svg.contains("x &lt; y"));
            }
        }
    }

    #[test]
    fn labels_lie_on_no_point_and_on_no_label() {
        let axis = Axis { label: "", log: false, from_zero: false };
        let series = |i: u32, label: &str| Series {
            name: label.into(),
            colour: 0,
            // Three indexes of nearly the same size and speed.
            points: vec![(1.0 + f64::from(i) / 1000.0, 5.0 + f64::from(i) / 500.0)],
            line: false,
            dots: true,
            label: Some(label.into()),
        };
        let far = Series { points: vec![(2.0, 9.0)], label: None, ..series(0, "far") };
        let names = ["passages-fast", "passages-small", "passages-small-40"];
        let series = (0..).zip(names).map(|(i, name)| series(i, name)).chain([far]).collect();
        let chart = Chart { title: String::new(), x: axis, y: axis, series };
        let svg = chart.svg(Extent::of(std::slice::from_ref(&chart)));
        let number = |text: &str, name: &str| -> f64 {
            let value = text.split(&format!(" {name}=\"")).nth(1).unwrap();
            value.split('"').next().unwrap().parse().unwrap()
        };
        let mut areas: Vec<Area> = Vec::new();
        for dot in svg.split("<circle").skip(1) {
            areas.push(Area::around((number(dot, "cx"), number(dot, "cy")), (4.0, 4.0)));
        }
        for name in names {
            let text = svg.split("<text").find(|t| t.contains(&format!(">{name}</text>"))).unwrap();
            let half = (0.5 * LETTER * name.len() as f64 - 0.1, 6.0);
            let from = number(text, "x");
            let middle = match text.split("text-anchor=\"").nth(1).unwrap().split('"').next() {
                Some("start") => from + half.0 + 0.1,
                Some("end") => from - half.0 - 0.1,
                _ => from,
            };
            let area = Area::around((middle, number(text, "y") - 4.0), half);
            assert!(areas.iter().all(|other| !area.meets(other)), "{name}: {svg}");
            areas.push(area);
        }
        // Those that are far from their points have a line to them.
        assert!(svg.matches("<path class=\"grid\" d=\"M").count() > 0);
    }

    #[test]
    fn numbers_have_few_digits() {
        let got = [0.25, 1.5, 2.0, 12.34, 123.4, 1234.5, 0.0].map(number);
        assert_eq!(got, ["0.25", "1.5", "2", "12.3", "123", "1,235", "0"]);
    }
}
