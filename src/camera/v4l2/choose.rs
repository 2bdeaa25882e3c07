//! Which of the offered sizes and rates of a V4L2 device comes nearest to the wish.
//!
//! Not here: formats, and everything after the device is set up ([`super::Camera`]).

use std::io;

use v4l::format::FourCC;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Format, Fraction};

use crate::camera::Wish;
use crate::logic::source::PixelFormat;

/// YUYV of the usual 1280 x 720 does not fit through USB 2 at a useful rate.
const YUYV_SIZE: (usize, usize) = (640, 480);

/// Sets the offered size that is nearest to the wish, and returns what the driver made of it.
pub(super) fn set_size(
    device: &v4l::Device,
    format: PixelFormat,
    fourcc: FourCC,
    wish: Wish,
) -> io::Result<Format> {
    let any = wish.width.is_none() && wish.height.is_none();
    let wanted = if any && format == PixelFormat::Yuyv { YUYV_SIZE } else { wish.size() };
    let sizes = device.enum_framesizes(fourcc).unwrap_or_default();
    let sizes = sizes.into_iter().map(|size| match size.size {
        FrameSizeEnum::Discrete(size) => (size.width as usize, size.height as usize),
        FrameSizeEnum::Stepwise(range) => (
            stepped(wanted.0, range.min_width, range.max_width, range.step_width),
            stepped(wanted.1, range.min_height, range.max_height, range.step_height),
        ),
    });
    let (width, height) = nearest(sizes, wanted).unwrap_or(wanted);
    device.set_format(&Format::new(width as u32, height as u32, fourcc))
}

fn stepped(wanted: usize, min: u32, max: u32, step: u32) -> usize {
    let (min, max, step) = (min as usize, max as usize, (step as usize).max(1));
    min + (wanted.clamp(min, max.max(min)) - min) / step * step
}

/// The size with the least difference of width and height together; of two alike, the larger. Odd widths cannot be packed 4:2:2.
fn nearest(sizes: impl Iterator<Item = (usize, usize)>, wanted: (usize, usize)) -> Option<(usize, usize)> {
    let distance = |size: &(usize, usize)| size.0.abs_diff(wanted.0) + size.1.abs_diff(wanted.1);
    sizes.filter(|size| size.0 % 2 == 0).min_by_key(|size| (distance(size), std::cmp::Reverse(*size)))
}

/// Asks for the slowest rate that is fast enough, and says what came of it. Drivers without rates are left alone.
pub(super) fn set_rate(device: &v4l::Device, set: &Format, wished: f64) -> f64 {
    let intervals = device.enum_frameintervals(set.fourcc, set.width, set.height).unwrap_or_default();
    let rates = intervals.into_iter().flat_map(|interval| match interval.interval {
        FrameIntervalEnum::Discrete(interval) => vec![interval],
        // The shortest interval is the highest rate.
        FrameIntervalEnum::Stepwise(range) => {
            let (slowest, fastest) = (rate(range.max).unwrap_or(0.0), rate(range.min).unwrap_or(0.0));
            let asked = Fraction::new(1000, (wished.clamp(slowest, fastest.max(slowest)) * 1000.0) as u32);
            vec![asked]
        }
    });
    if let Some(interval) = best_interval(rates, wished)
        && let Err(error) = device.set_params(&Parameters::new(interval))
    {
        tracing::debug!("the camera takes no rate: {error}");
    }
    device.params().ok().and_then(|params| rate(params.interval)).unwrap_or(wished)
}

fn rate(interval: Fraction) -> Option<f64> {
    let usable = interval.numerator > 0 && interval.denominator > 0;
    usable.then(|| interval.denominator as f64 / interval.numerator as f64)
}

/// The slowest rate that is at least the wished one (29.97 will do for 30), else the fastest.
fn best_interval(intervals: impl Iterator<Item = Fraction>, wished: f64) -> Option<Fraction> {
    let mut rated: Vec<(f64, Fraction)> =
        intervals.filter_map(|interval| Some((rate(interval)?, interval))).collect();
    rated.sort_by(|a, b| a.0.total_cmp(&b.0));
    let enough = rated.iter().find(|(rate, _)| *rate >= wished * 0.99);
    enough.or(rated.last()).map(|(_, interval)| *interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_size_is_chosen() {
        let offered = [(320, 240), (640, 480), (1280, 720), (1920, 1080), (1279, 720)];
        let table = [
            ((1280, 720), (1280, 720)),
            ((800, 600), (640, 480)),
            ((9999, 9999), (1920, 1080)),
            ((1, 1), (320, 240)),
        ];
        for (wanted, got) in table {
            assert_eq!(nearest(offered.into_iter(), wanted), Some(got));
        }
        assert_eq!(nearest(std::iter::empty(), (1, 1)), None);
        assert_eq!(
            (stepped(1000, 48, 1920, 16), stepped(5000, 48, 1920, 16), stepped(1, 48, 1920, 0)),
            (992, 1920, 48)
        );
    }

    #[test]
    fn the_slowest_rate_that_is_enough_is_chosen() {
        let offered = || [30, 25, 15, 10, 5].map(|rate| Fraction::new(1, rate)).into_iter();
        for (wished, got) in [(15.0, 15), (14.0, 15), (60.0, 30), (0.2, 5), (29.97, 30), (30.2, 30)] {
            assert_eq!(best_interval(offered(), wished).and_then(rate), Some(got as f64), "{wished}");
        }
        assert!(best_interval([Fraction::new(0, 0)].into_iter(), 5.0).is_none());
    }
}
