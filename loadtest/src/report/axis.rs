//! Axes: where a value is between their ends, and which values are named.

use super::units;

/// Most named values on an axis; more would touch on a phone.
const TICKS_MAX: usize = 6;
/// Steps between named times, in seconds.
const TIME_STEPS: [f64; 18] =
    [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0];

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    scale: Scale,
    /// Named values, each with its place.
    pub ticks: Vec<Tick>,
}

/// A named value.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// From 0 (start) to 1 (end).
    pub place: f64,
    pub text: String,
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    /// From 0.
    Linear { max: f64 },
    /// From and to a power of ten.
    Log { from: i32, to: i32 },
    /// Each nine takes the same room: 0 %, 90 %, 99 %, …
    Nines { max: f64 },
}

impl Axis {
    /// From 0 to a round number that is not below `max`.
    pub fn linear(label: &str, max: f64) -> Self {
        let step = round_up(max.max(f64::MIN_POSITIVE) / (TICKS_MAX - 1) as f64);
        let top = (max / step).ceil().max(1.0) * step;
        Axis::ticked(label, Scale::Linear { max: top }, steps(step, top).map(|value| (value, units::figure(value))))
    }

    /// As `linear`, for things that are counted: no steps between whole numbers.
    pub fn counted(label: &str, max: f64) -> Self {
        Axis::linear(label, max.max((TICKS_MAX - 1) as f64))
    }

    /// Time, from 0 to the end of the run.
    pub fn time(max_s: f64) -> Self {
        let max_s = max_s.max(1.0);
        let fits = |step: &&f64| max_s / **step <= TICKS_MAX as f64;
        let step = TIME_STEPS.iter().find(fits).copied().unwrap_or_else(|| (max_s / TICKS_MAX as f64 / 86_400.0).ceil() * 86_400.0);
        Axis::ticked("time, min:s", Scale::Linear { max: max_s }, steps(step, max_s).map(|value| (value, units::clock(value))))
    }

    /// Powers of ten around these values; those that are not above 0 have no place on it.
    pub fn log(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        let (from, to) = if least > most { (0, 2) } else { (least.log10().floor() as i32, most.log10().ceil() as i32) };
        let to = to.max(from + 1);
        // Between two powers of ten there is little to hold on to: 2 and 5 as well.
        let within: &[f64] = if to - from <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = ((to - from) as usize).div_ceil(TICKS_MAX);
        let values = (from..=to).step_by(every).flat_map(|power| within.iter().map(move |digit| digit * 10_f64.powi(power)));
        Axis::ticked(label, Scale::Log { from, to }, values.map(|value| (value, units::figure(value))))
    }

    /// Percentiles up to the one that a single event of so many makes.
    pub fn percentiles(count: u64) -> Self {
        let max = (count.max(10) as f64).log10();
        let named = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999, 0.999_999_9];
        let text = |share: f64| format!("{} %", trim(format!("{:.5}", share * 100.0)));
        let named = named.into_iter().filter(|&share| nines(share) <= max + 1e-6);
        Axis::ticked("percentile", Scale::Nines { max }, named.map(|share| (share, text(share))))
    }

    fn ticked(label: &str, scale: Scale, values: impl Iterator<Item = (f64, String)>) -> Self {
        let mut axis = Axis { label: label.into(), scale, ticks: Vec::new() };
        let inside = values.filter_map(|(value, text)| axis.place(value).map(|place| Tick { place, text }));
        axis.ticks = inside.collect();
        axis
    }

    /// Where a value is, from 0 to 1; `None`: not on this axis.
    pub fn place(&self, value: f64) -> Option<f64> {
        let place = match self.scale {
            Scale::Linear { max } => value / max,
            Scale::Log { .. } if value <= 0.0 => return None,
            Scale::Log { from, to } => (value.log10() - f64::from(from)) / f64::from(to - from),
            Scale::Nines { max } => nines(value).min(max) / max,
        };
        // Rounding must not lose the ends.
        (-1e-9..=1.0 + 1e-9).contains(&place).then(|| place.clamp(0.0, 1.0))
    }
}

/// 0 for 0 %, 1 for 90 %, 2 for 99 %; infinite for 100 %.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

/// Multiples of a step from 0 to a top.
fn steps(step: f64, top: f64) -> impl Iterator<Item = f64> {
    (0..).map(move |number| f64::from(number) * step).take_while(move |value| *value <= top * (1.0 + 1e-9))
}

/// The next of 1, 2, 5, 10, 20, … that is not below.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digit = value / power;
    let rounded = [1.0, 2.0, 5.0].into_iter().find(|&round| digit <= round * (1.0 + 1e-9)).unwrap_or(10.0);
    rounded * power
}

fn trim(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(texts(&Axis::linear("", 930.0)), ["0", "200", "400", "600", "800", "1,000"]);
        assert_eq!(texts(&Axis::linear("", 0.7)), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(texts(&Axis::counted("", 1.0)), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(texts(&Axis::time(70.0)), ["0:00", "0:15", "0:30", "0:45", "1:00"]);
        assert_eq!(texts(&Axis::time(86_400.0)), ["0:00", "6:00:00", "12:00:00", "18:00:00", "24:00:00"]);
        assert!(Axis::linear("", 0.0).ticks.len() <= TICKS_MAX && Axis::time(1e9).ticks.len() <= TICKS_MAX + 1);
    }

    #[test]
    fn powers_of_ten_are_equally_far_apart() {
        let axis = Axis::log("ms", [0.3, 0.0, 450.0].into_iter());
        assert_eq!(texts(&axis), ["0.1", "1", "10", "100", "1,000"]);
        assert!((axis.place(10.0).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!((axis.place(0.0), axis.place(5_000.0)), (None, None));
        assert_eq!(texts(&Axis::log("ms", [20.0, 40.0].into_iter())), ["10", "20", "50", "100"]);
        assert_eq!(Axis::log("ms", std::iter::empty()).ticks.len(), 7);
    }

    #[test]
    fn each_nine_takes_the_same_room() {
        let axis = Axis::percentiles(1_000);
        assert_eq!(texts(&axis), ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        let place = |share: f64| axis.place(share).unwrap();
        assert!((place(0.99) - 2.0 * place(0.9)).abs() < 1e-9);
        assert!((place(1.0) - 1.0).abs() < 1e-9);
    }
}
