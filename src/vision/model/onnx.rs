//! Rewrites the two ONNX files of this repository into ones that `rten` can load.
//!
//! Both hold their weights as 8-bit numbers with one scale per block (`DequantizeLinear` with `block_size`, ONNX opset 21),
//! which `rten` 0.27 does not know, and YuNet's input is fixed at 640x640. So the weights are expanded to `f32` here, once, while
//! loading: a `DequantizeLinear` and the `Reshape` behind it become one plain initialiser, and input and outputs lose their sizes.
//! ONNX is a Protocol Buffers message; the few fields needed are read and written by hand (numbers from `onnx.proto3`).
//!
//! Not here: what the networks mean; see `yunet` and `sface`.

use std::collections::{HashMap, HashSet};

/// Why a model file cannot be used. The files are part of the program, so this only happens to a damaged build.
#[derive(Debug, thiserror::Error)]
#[error("model file: {0}")]
pub struct BadModel(pub(super) &'static str);

type Result<T> = std::result::Result<T, BadModel>;

const FLOAT: u64 = 1;
const INT8: u64 = 3;
const INT64: u64 = 7;
/// The name under which the rewritten model refers to its weights.
const WEIGHTS: &str = "weights.data";

/// One tensor of the file, borrowed from its bytes.
#[derive(Clone)]
pub(super) struct Tensor<'a> {
    /// Length of each axis.
    pub(super) dims: Vec<usize>,
    kind: u64,
    bytes: &'a [u8],
    /// The whole field as it stands in the file, to be copied unchanged.
    whole: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// The elements of a float tensor.
    pub(super) fn floats(&self) -> Result<Vec<f32>> {
        if self.kind != FLOAT {
            return Err(BadModel("a tensor of floats has another type"));
        }
        Ok(self.bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    /// The elements of an 8-bit tensor, still as bytes.
    pub(super) fn int8(&self) -> Result<&'a [u8]> {
        if self.kind == INT8 { Ok(self.bytes) } else { Err(BadModel("a tensor of int8 has another type")) }
    }

    fn int64(&self) -> Result<Vec<i64>> {
        if self.kind != INT64 {
            return Err(BadModel("a tensor of int64 has another type"));
        }
        Ok(self.bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
    }
}

/// One operator of the graph.
struct Node<'a> {
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    op: &'a str,
    whole: &'a [u8],
}

/// The parts of an ONNX file.
pub(super) struct Onnx<'a> {
    /// Fields of the model besides the graph, as they stand.
    rest: Vec<&'a [u8]>,
    nodes: Vec<Node<'a>>,
    tensors: HashMap<&'a str, Tensor<'a>>,
    /// Names of tensors in the order of the file.
    order: Vec<&'a str>,
    inputs: Vec<(&'a str, &'a [u8])>,
    outputs: Vec<&'a str>,
}

impl<'a> Onnx<'a> {
    /// Takes a file apart.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Onnx<'a>> {
        let mut onnx = Onnx {
            rest: Vec::new(),
            nodes: Vec::new(),
            tensors: HashMap::new(),
            order: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for field in fields(bytes) {
            let field = field?;
            if field.number == 7 { onnx.parse_graph(field.bytes)? } else { onnx.rest.push(field.whole) }
        }
        Ok(onnx)
    }

    fn parse_graph(&mut self, bytes: &'a [u8]) -> Result<()> {
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => self.nodes.push(node(&field)?),
                5 => {
                    let (name, tensor) = tensor(&field)?;
                    self.order.push(name);
                    self.tensors.insert(name, tensor);
                }
                11 => self.inputs.push((value_name(field.bytes)?, field.whole)),
                12 => self.outputs.push(value_name(field.bytes)?),
                _ => {} // the name, and the sizes of values between the operators, which hold for 640x640 only
            }
        }
        Ok(())
    }

    /// A tensor by its name.
    pub(super) fn tensor(&self, name: &str) -> Result<&Tensor<'a>> {
        self.tensors.get(name).ok_or(BadModel("a tensor is missing"))
    }

    /// The floats of the quantised tensor `stem` (`…_quantized`, `…_scales`, `…_zero_point`), handed to `each` in their order.
    pub(super) fn dequantise(&self, stem: &str, mut each: impl FnMut(f32)) -> Result<()> {
        let quantised = self.tensor(&format!("{stem}_quantized"))?;
        let scales = self.tensor(&format!("{stem}_scales"))?;
        let zeros = self.tensor(&format!("{stem}_zero_point"))?;
        // Blocks run along the last axis in both files, so a tensor is a plain sequence of blocks.
        let row = *quantised.dims.last().ok_or(BadModel("a quantised tensor has no axis"))?;
        let blocks_per_row = *scales.dims.last().ok_or(BadModel("scales have no axis"))?;
        let (values, scales, zeros) = (quantised.int8()?, scales.floats()?, zeros.int8()?);
        let block = row / blocks_per_row.max(1);
        if block == 0
            || block * blocks_per_row != row
            || scales.len() * block != values.len()
            || zeros.len() != scales.len()
        {
            return Err(BadModel("blocks do not fill a quantised tensor"));
        }
        for ((block, scale), zero) in values.chunks_exact(block).zip(scales).zip(zeros) {
            let zero = i32::from(*zero as i8);
            block.iter().for_each(|q| each((i32::from(*q as i8) - zero) as f32 * scale));
        }
        Ok(())
    }

    /// Loads the model into `rten`, with plain float weights and without sizes of inputs and outputs.
    ///
    /// With `end`, everything behind the operator that makes that value is left out and the value is the only output.
    pub(super) fn load(&self, end: Option<&str>, operators: rten::OpRegistry) -> Result<rten::Model> {
        let (model, weights) = self.rewritten(end)?;
        // The optimiser would fold each normalisation into a copy of the weights before it while the originals stay: 13 MB more
        // for SFace and no measurable gain, because the convolutions take 93 % of the time.
        rten::ModelOptions::with_ops(operators)
            .enable_optimization(false)
            .external_data(WEIGHTS, weights)
            .load(model)
            .map_err(|_| BadModel("the graph does not load"))
    }

    /// The model and, beside it, its weights: `rten` uses those where they are, so that they are in memory once.
    fn rewritten(&self, end: Option<&str>) -> Result<(Vec<u8>, Vec<u8>)> {
        let n_nodes = match end {
            // The operators of an ONNX file are in topological order, so nothing before the end needs what comes after it.
            Some(end) => {
                1 + self
                    .nodes
                    .iter()
                    .position(|n| n.outputs.contains(&end))
                    .ok_or(BadModel("no such output"))?
            }
            None => self.nodes.len(),
        };
        let nodes = &self.nodes[..n_nodes];
        let mut graph = Vec::new();
        let mut needed = HashSet::new();
        for node in nodes {
            match node.op {
                "DequantizeLinear" => {}
                "Reshape" if self.quantised_stem(node.inputs[0]).is_some() => {}
                _ => {
                    graph.extend_from_slice(node.whole);
                    needed.extend(node.inputs.iter().copied());
                }
            }
        }
        let weights = self.write_weights(nodes, &needed, &mut graph)?;
        for name in self.order.iter().filter(|name| needed.contains(*name)) {
            graph.extend_from_slice(self.tensors[name].whole);
        }
        // IR versions before 4 also list the tensors as inputs; only true inputs are kept.
        for (name, _) in self.inputs.iter().filter(|(name, _)| !self.tensors.contains_key(name)) {
            put_bytes(&mut graph, 11, &sizeless_value(name));
        }
        let outputs = end.map_or_else(|| self.outputs.clone(), |end| vec![end]);
        for name in outputs {
            let mut value = Vec::new();
            put_bytes(&mut value, 1, name.as_bytes());
            put_bytes(&mut graph, 12, &value);
        }
        let mut model: Vec<u8> = self.rest.concat();
        put_bytes(&mut model, 7, &graph);
        Ok((model, weights))
    }

    /// Adds the float version of each quantised tensor that some operator needs.
    fn write_weights(
        &self,
        nodes: &[Node<'a>],
        needed: &HashSet<&str>,
        graph: &mut Vec<u8>,
    ) -> Result<Vec<u8>> {
        let mut weights = Vec::new();
        for node in nodes {
            let Some(output) = node.outputs.first().filter(|output| needed.contains(**output)) else {
                continue;
            };
            let (stem, dims) = match node.op {
                "DequantizeLinear" => {
                    let stem = self.quantised_stem(output).ok_or(BadModel("an unusual quantised name"))?;
                    (stem, self.tensor(node.inputs[0])?.dims.iter().map(|d| *d as i64).collect())
                }
                "Reshape" => match self.quantised_stem(node.inputs[0]) {
                    Some(stem) => (stem, self.tensor(node.inputs[1])?.int64()?),
                    None => continue,
                },
                _ => continue,
            };
            let offset = weights.len();
            self.dequantise(stem, |float| weights.extend_from_slice(&float.to_le_bytes()))?;
            put_bytes(graph, 5, &float_tensor(output, &dims, offset, weights.len() - offset));
        }
        weights.shrink_to_fit();
        Ok(weights)
    }

    fn quantised_stem<'n>(&self, name: &'n str) -> Option<&'n str> {
        let stem = name.strip_suffix("_dequantized")?;
        self.tensors.contains_key(format!("{stem}_quantized").as_str()).then_some(stem)
    }
}

fn node<'a>(field: &Field<'a>) -> Result<Node<'a>> {
    let mut node = Node { inputs: Vec::new(), outputs: Vec::new(), op: "", whole: field.whole };
    for field in fields(field.bytes) {
        let field = field?;
        match field.number {
            1 => node.inputs.push(text(field.bytes)?),
            2 => node.outputs.push(text(field.bytes)?),
            4 => node.op = text(field.bytes)?,
            _ => {}
        }
    }
    if matches!(node.op, "Reshape" | "DequantizeLinear") && node.inputs.len() < 2 {
        return Err(BadModel("an operator lacks its inputs"));
    }
    Ok(node)
}

fn tensor<'a>(field: &Field<'a>) -> Result<(&'a str, Tensor<'a>)> {
    let mut tensor = Tensor { dims: Vec::new(), kind: 0, bytes: &[], whole: field.whole };
    let mut name = "";
    for field in fields(field.bytes) {
        let field = field?;
        match (field.number, field.wire) {
            (1, 0) => tensor.dims.push(field.value as usize),
            (1, _) => {
                let mut rest = field.bytes;
                while !rest.is_empty() {
                    tensor.dims.push(take_varint(&mut rest)? as usize);
                }
            }
            (2, _) => tensor.kind = field.value,
            (8, _) => name = text(field.bytes)?,
            // Packed floats and raw data have the same layout: little-endian numbers one after the other.
            (4 | 9, 2) => tensor.bytes = field.bytes,
            _ => {}
        }
    }
    Ok((name, tensor))
}

fn value_name(value: &[u8]) -> Result<&str> {
    for field in fields(value) {
        let field = field?;
        if field.number == 1 {
            return text(field.bytes);
        }
    }
    Err(BadModel("a value has no name"))
}

/// A `ValueInfoProto` of a float picture `[1, 3, height, width]` with free height and width.
fn sizeless_value(name: &str) -> Vec<u8> {
    let mut shape = Vec::new();
    for fixed in [1_u8, 3] {
        put_bytes(&mut shape, 1, &[1 << 3, fixed]);
    }
    for free in ["height", "width"] {
        let mut dim = Vec::new();
        put_bytes(&mut dim, 2, free.as_bytes());
        put_bytes(&mut shape, 1, &dim);
    }
    let mut tensor_type = vec![1 << 3, FLOAT as u8];
    put_bytes(&mut tensor_type, 2, &shape);
    let mut kind = Vec::new();
    put_bytes(&mut kind, 1, &tensor_type);
    let mut value = Vec::new();
    put_bytes(&mut value, 1, name.as_bytes());
    put_bytes(&mut value, 2, &kind);
    value
}

/// A `TensorProto` of floats whose data stand elsewhere: `length` bytes at `offset` of the weights.
fn float_tensor(name: &str, dims: &[i64], offset: usize, length: usize) -> Vec<u8> {
    let mut tensor = Vec::new();
    for dim in dims {
        tensor.push(1 << 3);
        put_varint(&mut tensor, *dim as u64);
    }
    tensor.extend_from_slice(&[2 << 3, FLOAT as u8]);
    put_bytes(&mut tensor, 8, name.as_bytes());
    for (key, value) in
        [("location", WEIGHTS), ("offset", &offset.to_string()), ("length", &length.to_string())]
    {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, key.as_bytes());
        put_bytes(&mut entry, 2, value.as_bytes());
        put_bytes(&mut tensor, 13, &entry);
    }
    tensor.extend_from_slice(&[14 << 3, 1]); // the data location is "external"
    tensor
}

/// One field of a message: `value` for numbers, `bytes` for texts and messages, `whole` with its tag.
struct Field<'a> {
    number: u64,
    wire: u64,
    value: u64,
    bytes: &'a [u8],
    whole: &'a [u8],
}

fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = take_field(&mut rest);
        if field.is_err() {
            rest = &[]; // what follows a broken field has no meaning
        }
        Some(field)
    })
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>> {
    let start = *rest;
    let tag = take_varint(rest)?;
    let (mut value, mut bytes): (u64, &[u8]) = (0, &[]);
    match tag & 7 {
        0 => value = take_varint(rest)?,
        1 => bytes = take(rest, 8)?,
        2 => {
            let length = take_varint(rest)?;
            bytes = take(rest, usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        5 => bytes = take(rest, 4)?,
        _ => return Err(BadModel("a field has an unknown wire type")),
    }
    let whole = &start[..start.len() - rest.len()];
    Ok(Field { number: tag >> 3, wire: tag & 7, value, bytes, whole })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length).ok_or(BadModel("cut short"))?;
    *rest = left;
    Ok(taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(BadModel("a number is too long"))
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| BadModel("a name is not UTF-8"))
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
