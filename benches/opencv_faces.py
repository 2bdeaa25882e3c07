#!/usr/bin/env python3
"""Doorward's face pipeline against OpenCV's, on the same pictures, in one run.

    python3 benches/opencv_faces.py target/release/doorward [PICTURE...]

Needs opencv-python-headless, numpy and onnx. OpenCV refuses our SFace file, whose weights are 8-bit numbers with one scale a
block, so the file is dequantised into a temporary one first. Every picture is saved as PNG of at most 1280 pixels, so that both
programs see the same pixels. Ends with 1 unless both find the same faces and the embeddings agree (cosine >= 0.999) where OpenCV
aligns by Doorward's five points.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 0.999  # least cosine of the two embeddings of one face
LONGEST = 1280  # pixels of the longer side, as for enrolment
INPUT = 640  # pixels of the detector's input, Doorward's default
SCORE = 0.7  # least score of a box, Doorward's default
SAME_FACE = 0.5  # boxes with this intersection over union are one face
RUNS = 5  # each step is timed so often; the median counts, as in `doorward eval --json`


def dequantised(source, target):
    """Writes the model with plain float weights: DequantizeLinear and the Reshape behind it become constants."""
    model = onnx.load(source)
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept, floats = [], {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            values, scales, zeros = (constants[name] for name in node.input)
            attributes = {attribute.name: attribute.i for attribute in node.attribute}
            axis, block = attributes.get("axis", 1), attributes["block_size"]
            wide = [np.repeat(part, block, axis=axis) for part in (scales, zeros)]
            plain = (values.astype(np.float32) - wide[1].astype(np.float32)) * wide[0]
            floats[node.output[0]] = plain.astype(np.float32)
        elif node.op_type == "Reshape" and node.input[0] in floats:
            floats[node.output[0]] = floats[node.input[0]].reshape(constants[node.input[1]])
        else:
            kept.append(node)
    needed = {name for node in kept for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    tensors += [numpy_helper.from_array(array, name) for name, array in floats.items() if name in needed]
    inputs = [value for value in graph.input if value.name in needed and value.name not in constants]
    for field, values in (("node", kept), ("initializer", tensors), ("input", inputs)):
        del getattr(graph, field)[:]
        getattr(graph, field).extend(values)
    del model.opset_import[:]
    model.opset_import.extend([onnx.helper.make_opsetid("", 11)])
    model.ir_version = 6
    onnx.save(model, target)


def timed(run):
    """What `run` returns, and the median of its milliseconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        result = run()
        times.append((time.perf_counter() - start) * 1e3)
    return result, statistics.median(times)


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


class OpenCv:
    """OpenCV's own classes with Doorward's model files."""

    def __init__(self, folder):
        yunet, sface = folder / "yunet.onnx", folder / "sface.onnx"
        dequantised(ROOT / "models/face_detection_yunet_2023mar_int8bq.onnx", yunet)
        dequantised(ROOT / "models/face_recognition_sface_2021dec_int8bq.onnx", sface)
        self.detector = cv2.FaceDetectorYN.create(str(yunet), "", (INPUT, INPUT), SCORE, 0.3)
        self.recogniser = cv2.FaceRecognizerSF.create(str(sface), "")

    def detect(self, picture):
        """Boxes, points and scores in pixels of the picture; one row a face."""
        height, width = picture.shape[:2]
        ratio = min(INPUT / max(height, width), 1.0)
        size = (round(width * ratio), round(height * ratio))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if ratio < 1 else picture
        self.detector.setInputSize(size)
        faces = self.detector.detect(small)[1]
        if faces is None:
            return np.zeros((0, 15), np.float32)
        faces = faces.copy()
        faces[:, 0:14:2] *= width / size[0]
        faces[:, 1:14:2] *= height / size[1]
        return faces

    def embed(self, picture, row):
        raw = self.recogniser.feature(self.recogniser.alignCrop(picture, row)).flatten()
        return raw / np.linalg.norm(raw)


def prepare(pictures, folder):
    """The pictures as PNG in a folder that `doorward eval` understands."""
    person = folder / "set" / "Everybody"
    person.mkdir(parents=True)
    for number, path in enumerate(pictures):
        picture = cv2.imread(str(path))
        if picture is None:
            sys.exit(f"{path}: OpenCV cannot read this picture.")
        ratio = min(LONGEST / max(picture.shape[:2]), 1.0)
        if ratio < 1:
            picture = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(person / f"{number:03}.png"), picture)
    return folder / "set"


def compare(program, pictures, folder):
    """All figures of both programs."""
    album = prepare(pictures, folder)
    dump = folder / "faces.json"
    command = [program, "eval", str(album), "--json", str(dump)]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} eval failed with {done.returncode}.")
    opencv = OpenCv(folder)
    figures = {key: [] for key in "ours theirs pixels points aligned own detect embed their_detect their_embed".split()}
    for photo in json.loads(dump.read_text())["photos"]:
        picture = cv2.imread(str(album / photo["file"]))
        rows, milliseconds = timed(lambda: opencv.detect(picture))
        figures["detect"].append(photo["detect_ms"])
        figures["their_detect"].append(milliseconds)
        figures["ours"].append(len(photo["faces"]))
        figures["theirs"].append(len(rows))
        scale = max(picture.shape[:2]) / INPUT
        for face in photo["faces"]:
            ours = np.array(face["embedding"], np.float32)
            points = np.array(face["points"], np.float32).flatten()
            row = np.concatenate([face["box"], points, [face["score"]]]).astype(np.float32)
            theirs, milliseconds = timed(lambda: opencv.embed(picture, row))
            figures["aligned"].append(float(ours @ theirs))
            figures["embed"].append(face["embed_ms"])
            figures["their_embed"].append(milliseconds)
            same = [other for other in rows if overlap(face["box"], other) >= SAME_FACE]
            if same:
                figures["pixels"].append(float(np.abs(same[0][:4] - row[:4]).max() / max(scale, 1.0)))
                figures["points"].append(float(np.abs(same[0][4:14] - points).max() / max(scale, 1.0)))
                figures["own"].append(float(ours @ opencv.embed(picture, same[0])))
    return figures


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = str(Path(sys.argv[1]).resolve())
    usual = ROOT / "tests/data/faces"
    pictures = sys.argv[2:] or sorted(path for path in usual.rglob("*") if path.suffix in (".jpg", ".png"))
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = compare(program, pictures, Path(folder))
    if not figures["aligned"]:
        sys.exit("No face was found in any picture.")
    both = sum(figures["ours"]), sum(figures["theirs"])
    print(f"OpenCV {cv2.__version__}, one thread; {len(figures['ours'])} pictures, {len(figures['aligned'])} faces\n")
    print(f"{'':42}{'Doorward':>10}{'OpenCV':>10}")
    print(f"{'faces found':42}{both[0]:>10}{both[1]:>10}")
    for name, key in (("detection, median ms a picture", "detect"), ("embedding, median ms a face", "embed")):
        print(f"{name:42}{statistics.median(figures[key]):>10.1f}{statistics.median(figures['their_' + key]):>10.1f}")
    print(f"\n{'':42}{'worst':>10}{'median':>10}")
    for name, key in (("box, pixels of the detector's input", "pixels"), ("points, the same pixels", "points")):
        print(f"{name:42}{max(figures[key], default=0):>10.3f}{statistics.median(figures[key] or [0]):>10.3f}")
    for name, key in (("cosine, aligned by our points", "aligned"), ("cosine, aligned by its own points", "own")):
        print(f"{name:42}{min(figures[key], default=0):>10.5f}{statistics.median(figures[key] or [0]):>10.5f}")
    faults = []
    if figures["ours"] != figures["theirs"]:
        faults.append(f"the numbers of faces differ: {figures['ours']} and {figures['theirs']}")
    if min(figures["aligned"]) < LIMIT:
        faults.append(f"an embedding differs: cosine {min(figures['aligned']):.5f} is below {LIMIT}")
    if max(figures["pixels"], default=0) > 1.5:
        faults.append(f"a box differs by {max(figures['pixels']):.2f} pixels")
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
