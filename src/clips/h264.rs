//! JPEG in, H.264 out: Cisco's encoder, set up for film files.
//!
//! Not here: the file ([`super::mp4`]). Parameter sets are kept apart from the pictures, as MP4 files want them.

use std::time::Duration;

use openh264::OpenH264API;
use openh264::Timestamp;
use openh264::encoder::{
    BitRate, ColorPrimaries, Encoder as Cisco, EncoderConfig, FrameRate, MatrixCoefficients, Profile,
    RateControlMode, TransferCharacteristics, VuiConfig,
};
use openh264::formats::YUVSlices;

use super::mp4::Codec;
use crate::jpeg;

/// Players can only jump to key frames, so there is one at least this often.
const KEY_EVERY: Duration = Duration::from_secs(2);
/// Types of NAL units (ITU-T H.264, table 7-1).
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;

/// One picture as it goes into the file.
pub(super) struct Coded {
    /// NAL units with their length before each; empty when the encoder left the picture out to hold its bit rate.
    pub(super) data: Vec<u8>,
    pub(super) is_key: bool,
}

/// The encoder of one film.
pub(super) struct Encoder {
    cisco: Cisco,
    last_key: Option<Duration>,
    sps: Vec<u8>,
    pps: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(fps: u32, bits_per_second: u32) -> Result<Self, String> {
        // Baseline without B pictures, which every browser and telephone plays; pictures may be left out to hold the rate.
        let config = EncoderConfig::new()
            .profile(Profile::Baseline)
            .rate_control_mode(RateControlMode::Bitrate)
            .bitrate(BitRate::from_bps(bits_per_second))
            .max_frame_rate(FrameRate::from_hz(fps as f32))
            .skip_frames(true)
            .num_threads(1)
            .vui(colours());
        let cisco =
            Cisco::with_api_config(OpenH264API::from_source(), config).map_err(|error| error.to_string())?;
        Ok(Self { cisco, last_key: None, sps: Vec::new(), pps: Vec::new() })
    }

    /// Codes the picture that is shown from `at` on; odd sides lose their last row or column.
    pub(super) fn encode(&mut self, at: Duration, picture: &jpeg::I420) -> Result<Coded, String> {
        if self.last_key.is_some_and(|key| at.saturating_sub(key) >= KEY_EVERY) {
            self.cisco.force_intra_frame();
        }
        let (width, height) = (picture.width, picture.height);
        let (luma, chroma) = picture.planes.split_at(width * height);
        let (blue, red) = chroma.split_at(width * height / 4);
        let planes = YUVSlices::new((luma, blue, red), (width, height), (width, width / 2, width / 2));
        let time = Timestamp::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX >> 1));
        let stream = self.cisco.encode_at(&planes, time).map_err(|error| error.to_string())?;
        let mut coded = Coded { data: Vec::new(), is_key: false };
        for layer in (0..stream.num_layers()).filter_map(|layer| stream.layer(layer)) {
            for unit in (0..layer.nal_count()).filter_map(|unit| layer.nal_unit(unit)) {
                let unit = without_start_code(unit);
                match unit.first().map(|first| first & 0x1f) {
                    Some(SPS) => self.sps = unit.to_vec(),
                    Some(PPS) => self.pps = unit.to_vec(),
                    Some(kind) => {
                        coded.is_key |= kind == IDR;
                        coded.data.extend((unit.len() as u32).to_be_bytes());
                        coded.data.extend(unit);
                    }
                    None => {}
                }
            }
        }
        if coded.is_key {
            self.last_key = Some(at);
        }
        Ok(coded)
    }

    /// How the samples are coded, known after the first.
    pub(super) fn codec(&self) -> Codec {
        Codec::Avc { sps: self.sps.clone(), pps: self.pps.clone() }
    }
}

/// What JPEG means by its numbers (JFIF): full range, the matrix of ITU-R BT.601, and in practice the colours of sRGB.
fn colours() -> VuiConfig {
    VuiConfig::srgb()
        .color_primaries(ColorPrimaries::Bt709)
        .transfer_characteristics(TransferCharacteristics::Srgb)
        .matrix_coefficients(MatrixCoefficients::Smpte170M)
        .full_range(true)
}

/// A NAL unit behind its start code of three or four bytes (ITU-T H.264, annex B).
fn without_start_code(unit: &[u8]) -> &[u8] {
    let zeros = unit.iter().take_while(|byte| **byte == 0).count();
    unit.get(zeros + 1..).unwrap_or_default()
}
