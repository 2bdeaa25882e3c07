//! What a camera is called in the configuration: `v4l2:/dev/v4l/by-id/…`, `file:/clips`, `demo` and so on.
//!
//! Not here: opening any of them; that is [`crate::camera`].

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// A USB or built-in camera: `v4l2`, `v4l2:0`, `v4l2:/dev/v4l/by-id/…`; `,format=yuyv` forces a pixel format.
    V4l2 {
        /// Which device.
        device: Device,
        /// The only pixel format to accept; MJPG before YUYV when absent.
        format: Option<PixelFormat>,
    },
    /// A folder of JPEGs, one JPEG, or a clip of JPEGs, played in a loop: `file:PATH`.
    File(PathBuf),
    /// The built-in scene: `demo`, `demo:seed=7,speed=4`.
    Demo {
        /// Decides when and from where people come; the same seed gives the same scene.
        seed: u64,
        /// How fast the scene's clock runs, [`SPEEDS`]; 1 is real time.
        speed: f32,
    },
    /// A Raspberry Pi camera module: `libcamera`, `libcamera:ID`.
    Libcamera(Option<String>),
}

/// Which V4L2 device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The first one that can capture in a format we read.
    First,
    /// A device node or a link to one; links below `/dev/v4l/by-id` survive a replug.
    Path(PathBuf),
}

/// The pixel formats that a V4L2 camera may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// JPEG pictures, passed on as they come.
    Mjpg,
    /// Packed 4:2:2.
    Yuyv,
}

impl PixelFormat {
    /// The name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mjpg => "mjpg",
            Self::Yuyv => "yuyv",
        }
    }
}

/// Seed of the demo scene when none is given.
const DEFAULT_SEED: u64 = 1;
/// Allowed speeds of the demo scene: slower than a quarter shows nothing new, faster than 20 leaves too few frames for a face.
pub const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=20.0;
/// V4L2 numbers its nodes below this (`VIDEO_NUM_DEVICES` of the Linux kernel).
const MAX_INDEX: u16 = 256;

/// Why a text names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The part before the colon is unknown.
    #[error("\"{0}\" is no kind of camera; v4l2, file, demo or libcamera are")]
    Kind(String),
    /// The device is neither a number nor an absolute path.
    #[error("\"{0}\" is no V4L2 device; write a number from 0 to 255 or a path such as /dev/v4l/by-id/…")]
    Device(String),
    /// `file:` without a path.
    #[error("file: needs a path, for example file:/var/lib/clips")]
    NoPath,
    /// An option that the kind does not have.
    #[error("{kind} has no option \"{option}\"; {known} would be")]
    Option {
        /// The kind of camera.
        kind: &'static str,
        /// What was written.
        option: String,
        /// What may be written.
        known: &'static str,
    },
    /// An option's value is not acceptable.
    #[error("{option}={value} cannot be used; {allowed} can")]
    Value {
        /// The option.
        option: &'static str,
        /// What was written.
        value: String,
        /// What may be written.
        allowed: &'static str,
    },
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let text = text.trim();
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "v4l2" => v4l2(rest),
            "file" if rest.is_empty() => Err(SpecError::NoPath),
            "file" => Ok(Self::File(rest.into())),
            "demo" => demo(rest),
            "libcamera" => Ok(Self::Libcamera((!rest.is_empty()).then(|| rest.to_owned()))),
            unknown => Err(SpecError::Kind(unknown.to_owned())),
        }
    }
}

fn v4l2(rest: &str) -> Result<Spec, SpecError> {
    let (device, options) = match rest.split_once(',') {
        Some((device, options)) => (device, options),
        None if rest.contains('=') && !rest.starts_with('/') => ("", rest),
        None => (rest, ""),
    };
    let mut format = None;
    for (option, value) in pairs(options) {
        format = Some(match (option, value) {
            ("format", "mjpg") => PixelFormat::Mjpg,
            ("format", "yuyv") => PixelFormat::Yuyv,
            ("format", _) => {
                return Err(SpecError::Value {
                    option: "format",
                    value: value.into(),
                    allowed: "mjpg and yuyv",
                });
            }
            _ => return Err(SpecError::Option { kind: "v4l2", option: option.into(), known: "format" }),
        });
    }
    Ok(Spec::V4l2 { device: v4l2_device(device)?, format })
}

fn v4l2_device(device: &str) -> Result<Device, SpecError> {
    if device.is_empty() {
        return Ok(Device::First);
    }
    if device.starts_with('/') {
        return Ok(Device::Path(device.into()));
    }
    match device.parse::<u16>() {
        Ok(index) if index < MAX_INDEX => Ok(Device::Path(format!("/dev/video{index}").into())),
        Ok(_) | Err(_) => Err(SpecError::Device(device.to_owned())),
    }
}

fn demo(options: &str) -> Result<Spec, SpecError> {
    let (mut seed, mut speed) = (DEFAULT_SEED, 1.0);
    for (option, value) in pairs(options) {
        match option {
            "seed" => {
                seed = value.parse().map_err(|_| SpecError::Value {
                    option: "seed",
                    value: value.into(),
                    allowed: "whole numbers from 0",
                })?;
            }
            "speed" => {
                let parsed = value.parse::<f32>().ok().filter(|speed| SPEEDS.contains(speed));
                speed = parsed.ok_or_else(|| SpecError::Value {
                    option: "speed",
                    value: value.into(),
                    allowed: "0.25 to 20",
                })?;
            }
            _ => {
                return Err(SpecError::Option {
                    kind: "demo",
                    option: option.into(),
                    known: "seed or speed",
                });
            }
        }
    }
    Ok(Spec::Demo { seed, speed })
}

/// `a=1,b=2` as pairs; a part without `=` has an empty value.
fn pairs(options: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = options.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').map_or((part, ""), |(option, value)| (option.trim(), value.trim())))
}

impl fmt::Display for Spec {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4l2 { device, format } => {
                to.write_str("v4l2")?;
                if let Device::Path(path) = device {
                    write!(to, ":{}", path.display())?;
                }
                if let Some(format) = format {
                    let separator = if *device == Device::First { ':' } else { ',' };
                    write!(to, "{separator}format={}", format.name())?;
                }
                Ok(())
            }
            Self::File(path) => write!(to, "file:{}", path.display()),
            Self::Demo { seed, speed } if (*seed, *speed) == (DEFAULT_SEED, 1.0) => to.write_str("demo"),
            Self::Demo { seed, speed } => write!(to, "demo:seed={seed},speed={speed}"),
            Self::Libcamera(None) => to.write_str("libcamera"),
            Self::Libcamera(Some(id)) => write!(to, "libcamera:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_written_back() {
        let path = |path: &str| Device::Path(path.into());
        let v4l2 = |device, format| Spec::V4l2 { device, format };
        let by_id = "/dev/v4l/by-id/usb-Lab_USB_Camera_0001-video-index0";
        let table = [
            ("v4l2", v4l2(Device::First, None), "v4l2"),
            ("v4l2:", v4l2(Device::First, None), "v4l2"),
            ("v4l2:0", v4l2(path("/dev/video0"), None), "v4l2:/dev/video0"),
            ("v4l2:/dev/video2", v4l2(path("/dev/video2"), None), "v4l2:/dev/video2"),
            (&format!("v4l2:{by_id}"), v4l2(path(by_id), None), &format!("v4l2:{by_id}")),
            ("v4l2:format=yuyv", v4l2(Device::First, Some(PixelFormat::Yuyv)), "v4l2:format=yuyv"),
            (
                "v4l2:1,format=mjpg",
                v4l2(path("/dev/video1"), Some(PixelFormat::Mjpg)),
                "v4l2:/dev/video1,format=mjpg",
            ),
            (" file:/a b/c:d.avi ", Spec::File("/a b/c:d.avi".into()), "file:/a b/c:d.avi"),
            ("file:clips", Spec::File("clips".into()), "file:clips"),
            ("demo", Spec::Demo { seed: 1, speed: 1.0 }, "demo"),
            ("demo:seed=7,speed=4", Spec::Demo { seed: 7, speed: 4.0 }, "demo:seed=7,speed=4"),
            ("demo: speed=0.5", Spec::Demo { seed: 1, speed: 0.5 }, "demo:seed=1,speed=0.5"),
            ("libcamera", Spec::Libcamera(None), "libcamera"),
            ("libcamera:/base/x", Spec::Libcamera(Some("/base/x".into())), "libcamera:/base/x"),
        ];
        for (text, spec, written) in table {
            assert_eq!(text.parse::<Spec>().as_ref(), Ok(&spec), "{text}");
            assert_eq!(spec.to_string(), written);
            assert_eq!(written.parse::<Spec>(), Ok(spec), "{written} must read back");
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        let table = [
            ("", "no kind of camera"),
            ("synthetic", "v4l2, file, demo or libcamera"),
            ("V4L2", "no kind of camera"),
            ("v4l2:video0", "number from 0 to 255"),
            ("v4l2:256", "number from 0 to 255"),
            ("v4l2:-1", "number from 0 to 255"),
            ("v4l2:0,format=h264", "mjpg and yuyv"),
            ("v4l2:0,size=3", "no option \"size\"; format"),
            ("file", "needs a path"),
            ("file:", "needs a path"),
            ("demo:seed=x", "whole numbers"),
            ("demo:seed=-1", "whole numbers"),
            ("demo:speed=0", "0.25 to 20"),
            ("demo:speed=NaN", "0.25 to 20"),
            ("demo:fast", "seed or speed"),
        ];
        for (text, part) in table {
            let error = text.parse::<Spec>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
