//! YuNet (2023mar): faces with five points, from a picture scaled to a few hundred pixels.
//!
//! Recipe of the network (OpenCV's `FaceDetectorYN`): blue, green, red, 0 to 255; sides padded to a multiple of 32; three grids of
//! cells 8, 16 and 32 pixels wide; score = sqrt(class * objectness); boxes and points relative to the cell.
//!
//! Not here: which faces are good enough for a name (see `logic::faces::quality`).

use rten_tensor::{AsView, NdTensor};

use super::onnx::Onnx;
use super::{BadModel, Detector, Error, Picture, keep_best, one_thread, operators, scale};
use crate::logic::faces::{Face, PixelRect};

/// The model file, unchanged; `docs/third-party.md` names its origin.
pub(super) static FILE: &[u8] = include_bytes!("../../../models/face_detection_yunet_2023mar_int8bq.onnx");

const STRIDES: [usize; 3] = [8, 16, 32];
/// Boxes that overlap more are the same face (the value of OpenCV Zoo's demo).
const SAME_FACE_OVERLAP: f32 = 0.3;
/// Sides of the input are multiples of this, the widest stride.
const PAD: usize = 32;
/// Faces below this score are not even reported; what counts is decided in `logic::faces::quality`.
const LOWEST_SCORE: f32 = 0.5;

/// The detector, with the longest side that its input may have.
pub struct YuNet {
    model: rten::Model,
    outputs: Outputs,
    longest_side: usize,
    lowest_score: f32,
    options: rten::RunOptions,
}

/// For each stride, the node ids of class, objectness, box and points.
type Outputs = [[rten::NodeId; 4]; 3];

impl YuNet {
    /// Loads the built-in model. `longest_side` is the longest side of the network's input in pixels: 640 finds faces of 20 pixels
    /// in a 1280 pixel picture about half of the time and faces of 64 practically always; 320 costs a quarter and finds half as far.
    /// It is rounded to a multiple of 32 from 160 to 1280. Pictures are never enlarged.
    ///
    /// # Errors
    /// Only when the program was built with a damaged file.
    pub fn load(longest_side: usize) -> Result<YuNet, BadModel> {
        let onnx = Onnx::parse(FILE)?;
        let model = onnx.load(None, operators())?;
        let id = |name: &str, stride: usize| {
            model.node_id(&format!("{name}_{stride}")).map_err(|_| BadModel("the detector lacks an output"))
        };
        let mut outputs = Vec::new();
        for stride in STRIDES {
            outputs.push([id("cls", stride)?, id("obj", stride)?, id("bbox", stride)?, id("kps", stride)?]);
        }
        let outputs = outputs.try_into().map_err(|_| BadModel("the detector lacks an output"))?;
        let longest_side = (longest_side / PAD * PAD).clamp(160, 1280);
        Ok(YuNet { model, outputs, longest_side, lowest_score: LOWEST_SCORE, options: one_thread() })
    }

    /// Reports boxes from this score up, for measuring what lies below the usual limit.
    pub fn report_from(&mut self, score: f32) {
        self.lowest_score = score;
    }

    fn run(&self, input: NdTensor<f32, 4>) -> Result<Vec<Vec<f32>>, Error> {
        let ids: Vec<_> = self.outputs.iter().flatten().copied().collect();
        let input_id = self.model.input_ids()[0];
        self.model
            .run(vec![(input_id, input.into())], &ids, Some(self.options.clone()))
            .map_err(|error| Error::Runtime(error.to_string()))?
            .into_iter()
            .map(|value| {
                let tensor: NdTensor<f32, 3> = value
                    .try_into()
                    .map_err(|_| Error::Runtime("the detector's answer has an odd shape".into()))?;
                Ok(tensor.to_vec())
            })
            .collect()
    }
}

impl Detector for YuNet {
    fn detect(&mut self, picture: &Picture<'_>, region: Option<PixelRect>) -> Result<Vec<Face>, Error> {
        let Some(window) = picture.window(region) else { return Ok(Vec::new()) };
        let [left, top, width, height] = window;
        let ratio = (self.longest_side as f32 / width.max(height) as f32).min(1.0);
        let fit = |side: usize| ((side as f32 * ratio).round() as usize).clamp(1, side);
        let (inner_width, inner_height) = (fit(width), fit(height));
        let (input_width, input_height) =
            (inner_width.next_multiple_of(PAD), inner_height.next_multiple_of(PAD));
        let plane = input_width * input_height;
        let mut input = vec![0.0; 3 * plane];
        scale::shrink(picture, window, inner_width, inner_height, |y, row| {
            for (x, [red, green, blue]) in row.as_chunks::<3>().0.iter().enumerate() {
                let at = y * input_width + x;
                (input[at], input[plane + at], input[2 * plane + at]) = (*blue, *green, *red);
            }
        });
        let answers = self.run(NdTensor::from_data([1, 3, input_height, input_width], input))?;
        let mut faces = Vec::new();
        for (stride, answer) in STRIDES.into_iter().zip(answers.as_chunks::<4>().0) {
            read_grid(stride, input_width / stride, answer, self.lowest_score, &mut faces);
        }
        let mut faces = keep_best(faces, SAME_FACE_OVERLAP);
        let (scale_x, scale_y) = (width as f32 / inner_width as f32, height as f32 / inner_height as f32);
        for face in &mut faces {
            to_picture(face, [left as f32, top as f32], [scale_x, scale_y]);
        }
        // Boxes in the padding or with odd numbers are no faces of this picture.
        faces.retain(|face| face.rect.inside(picture.width, picture.height).area() >= 1.0);
        Ok(faces)
    }
}

/// Adds the faces of one grid, in pixels of the network's input.
fn read_grid(
    stride: usize,
    columns: usize,
    [classes, objects, boxes, points]: &[Vec<f32>; 4],
    lowest_score: f32,
    faces: &mut Vec<Face>,
) {
    let cells = classes.iter().zip(objects).zip(boxes.as_chunks::<4>().0).zip(points.as_chunks::<10>().0);
    for (cell, (((class, object), [dx, dy, dw, dh]), points)) in cells.enumerate() {
        let score = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
        if score.is_nan() || score < lowest_score {
            continue;
        }
        let stride = stride as f32;
        let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
        let (width, height) = (dw.exp() * stride, dh.exp() * stride);
        let (x, y) = ((column + dx) * stride - width / 2.0, (row + dy) * stride - height / 2.0);
        let points =
            std::array::from_fn(|i| [(column + points[2 * i]) * stride, (row + points[2 * i + 1]) * stride]);
        faces.push(Face { rect: PixelRect { x, y, width, height }, score, points });
    }
}

fn to_picture(face: &mut Face, offset: [f32; 2], scale: [f32; 2]) {
    let PixelRect { x, y, width, height } = face.rect;
    face.rect = PixelRect {
        x: x * scale[0] + offset[0],
        y: y * scale[1] + offset[1],
        width: width * scale[0],
        height: height * scale[1],
    };
    for point in &mut face.points {
        *point = [point[0] * scale[0] + offset[0], point[1] * scale[1] + offset[1]];
    }
}
