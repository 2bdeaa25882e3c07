//! SFace (2021dec): 128 numbers for a face, whose cosine with those of another photo says how alike the faces are.
//!
//! `rten` runs the convolutions. The last layer, two thirds of all weights, stays in its 8-bit form and is multiplied here
//! straight from the program's own pages: 6.4 MB instead of 25.7 MB of memory, and less to read for each face.
//! Input: red, green, blue, 0 to 255; the network itself subtracts 127.5 and divides by 128.
//!
//! Not here: comparing embeddings (see `logic::faces::gallery`).

use rten_tensor::{AsView, NdTensor};

use super::align::{self, SIDE, Similarity};
use super::onnx::Onnx;
use super::{BadModel, Error, Picture, one_thread, operators};
use crate::logic::faces::tracker::Answer;
use crate::logic::faces::{EMBEDDING_LENGTH, Embedding, Face};

/// The model file, unchanged; `docs/third-party.md` names its origin.
pub(super) static FILE: &[u8] = include_bytes!("../../../models/face_recognition_sface_2021dec_int8bq.onnx");

/// The value behind the last convolution, where `rten` stops.
const FEATURES: &str = "bn1";
/// Values of one picture at that place: 1024 planes of 7x7.
const N_FEATURES: usize = 1024 * 7 * 7;
/// Weights that share one scale in the last layer.
const BLOCK: usize = 64;
const BLOCKS_PER_ROW: usize = N_FEATURES / BLOCK;

/// The recogniser. Loading takes some 50 ms and 14 MB of memory; an answer some 25 ms of one core of a PC.
pub struct Recogniser {
    convolutions: rten::Model,
    last: LastLayer,
    options: rten::RunOptions,
}

impl Recogniser {
    /// Loads the built-in model.
    ///
    /// # Errors
    /// Only when the program was built with a damaged file.
    pub fn load() -> Result<Recogniser, BadModel> {
        let onnx = Onnx::parse(FILE)?;
        let convolutions = onnx.load(Some(FEATURES), operators())?;
        Ok(Recogniser { convolutions, last: LastLayer::of(&onnx)?, options: one_thread() })
    }

    /// The embedding of a face of this picture, cut out at the picture's own resolution.
    ///
    /// # Errors
    /// `NoShape` when the points of the face make no face; `Runtime` when the network failed.
    pub fn embed(&mut self, picture: &Picture<'_>, face: &Face) -> Result<Answer, Error> {
        let transform = Similarity::to_points(&face.points).ok_or(Error::NoShape)?;
        let planes = align::cut(picture, &transform);
        let (sharpness, detail_across) = (align::sharpness(&planes), align::detail_across(&planes));
        let input = NdTensor::from_data([1, 3, SIDE, SIDE], planes);
        let output = self
            .convolutions
            .run_one(input.into(), Some(self.options.clone()))
            .map_err(|error| Error::Runtime(error.to_string()))?;
        let features: NdTensor<f32, 4> =
            output.try_into().map_err(|_| Error::Runtime("the recogniser's answer is no picture".into()))?;
        let features = features.to_contiguous();
        let features: &[f32; N_FEATURES] = features
            .data()
            .try_into()
            .map_err(|_| Error::Runtime("the recogniser's answer has an odd size".into()))?;
        let embedding = Embedding::from_raw(&self.last.apply(features)).ok_or(Error::NoShape)?;
        Ok(Answer { embedding, sharpness, detail_across, is_confirmed: true })
    }
}

/// The fully connected layer and the batch normalisation behind it: `out = (W features) * gain + offset`.
struct LastLayer {
    /// `EMBEDDING_LENGTH` rows of 8-bit weights.
    weights: &'static [u8],
    /// One scale and one zero point for each block of `BLOCK` weights.
    scales: Vec<f32>,
    zeros: &'static [u8],
    gain: Vec<f32>,
    offset: Vec<f32>,
}

impl LastLayer {
    fn of(onnx: &Onnx<'static>) -> Result<LastLayer, BadModel> {
        let weights = onnx.tensor("pre_fc1_weight_quantized")?.int8()?;
        let scales = onnx.tensor("pre_fc1_weight_scales")?.floats()?;
        let zeros = onnx.tensor("pre_fc1_weight_zero_point")?.int8()?;
        let mut bias = Vec::new();
        onnx.dequantise("pre_fc1_bias", |float| bias.push(float))?;
        let norm = |name: &str| onnx.tensor(&format!("fc1_{name}"))?.floats();
        let (gamma, beta) = (norm("gamma")?, norm("beta")?);
        let (mean, variance) = (norm("moving_mean")?, norm("moving_var")?);
        let n_blocks = EMBEDDING_LENGTH * BLOCKS_PER_ROW;
        let lengths = [bias.len(), gamma.len(), beta.len(), mean.len(), variance.len()];
        if weights.len() != n_blocks * BLOCK
            || scales.len() != n_blocks
            || zeros.len() != n_blocks
            || lengths != [EMBEDDING_LENGTH; 5]
        {
            return Err(BadModel("the recogniser's last layer has an odd size"));
        }
        /// The graph's own epsilon of that normalisation.
        const EPSILON: f32 = 2e-5;
        let gain: Vec<f32> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
        let offset = (0..EMBEDDING_LENGTH).map(|i| (bias[i] - mean[i]) * gain[i] + beta[i]).collect();
        Ok(LastLayer { weights, scales, zeros, gain, offset })
    }

    fn apply(&self, features: &[f32; N_FEATURES]) -> [f32; EMBEDDING_LENGTH] {
        let features = features.as_chunks::<BLOCK>().0;
        let sums: Vec<f32> = features.iter().map(|block| block.iter().sum()).collect();
        let weights = self.weights.as_chunks::<BLOCK>().0;
        let mut out = [0.0; EMBEDDING_LENGTH];
        for (row, out) in out.iter_mut().enumerate() {
            let blocks = row * BLOCKS_PER_ROW..(row + 1) * BLOCKS_PER_ROW;
            let mut sum = 0.0;
            for (i, block) in blocks.enumerate() {
                let zero = f32::from(self.zeros[block] as i8);
                sum += self.scales[block] * (dot(&weights[block], &features[i]) - zero * sums[i]);
            }
            *out = sum * self.gain[row] + self.offset[row];
        }
        out
    }
}

/// Eight running sums, so that the compiler can use the vector unit of any processor.
fn dot(weights: &[u8; BLOCK], features: &[f32; BLOCK]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (weights, features) in weights.as_chunks::<8>().0.iter().zip(features.as_chunks::<8>().0) {
        for lane in 0..8 {
            sums[lane] += f32::from(weights[lane] as i8) * features[lane];
        }
    }
    sums.iter().sum()
}
