/* YuNet on ONNX Runtime, decoded as OpenCV's FaceDetectorYN does it (modules/objdetect/src/face_detect.cpp). */
import app from "generated/app.json";
import type { Face } from "./crop";
import { type Raster, resizeInTwoSteps } from "./resample";
import type { Network } from "./runtime";

const STRIDES = [8, 16, 32];
const DIVISOR = 32; // sides are padded to its multiples
const SCORE_THRESHOLD = 0.6;
const OVERLAP_THRESHOLD = 0.3;

/** Python's round: to the even number from the middle */
export function roundHalfEven(value: number) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/** A copy whose longer side is at most `side` (with `enlarge` exactly), and the original's pixels for one of its */
function reduced(image: Raster, side: number, enlarge = false): [Raster, number] {
  const factor = side / Math.max(image.width, image.height);
  if (factor >= 1 && !enlarge) return [image, 1];
  const [width, height] = [image.width, image.height].map((length) => Math.max(1, roundHalfEven(length * factor)));
  return [resizeInTwoSteps(image, width, height), 1 / factor];
}

/**
 * Faces of an RGBA raster, the largest first, at most `limit`, searched at `side` pixels at most.
 * space/detectors.py says why there is a second search.
 */
export async function detect(network: Network, image: Raster, limit: number, side: number): Promise<Face[]> {
  const { secondSide, border, smallestSide } = app.detector;
  if (Math.min(image.width, image.height) < smallestSide) return [];
  let [small, scale] = reduced(image, side);
  let margin = 0;
  let faces = await search(network, small);
  if (!faces.length) {
    [small, scale] = reduced(image, secondSide, true);
    margin = roundHalfEven(border * Math.max(small.width, small.height));
    faces = await search(network, small, margin);
  }
  const moved = faces.map(({ box: [x, y, width, height], score, eyes }): Face => ({
    box: [(x - margin) * scale, (y - margin) * scale, width * scale, height * scale],
    score,
    eyes: eyes.map(([ex, ey]) => [(ex - margin) * scale, (ey - margin) * scale]) as Face["eyes"],
  }));
  return moved.sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3]).slice(0, limit);
}

/** Faces of `image` as it is, with `margin` pixels of its own border around it */
async function search(network: Network, image: Raster, margin = 0): Promise<Face[]> {
  const [width, height] = [image.width + 2 * margin, image.height + 2 * margin];
  const [padWidth, padHeight] = [width, height].map((length) => Math.ceil(length / DIVISOR) * DIVISOR);
  const plane = padWidth * padHeight;
  const input = new Float32Array(3 * plane); // blue, green, red, 0 to 255
  for (let row = 0; row < height; row++) {
    const line = Math.min(Math.max(row - margin, 0), image.height - 1) * image.width;
    for (let column = 0; column < width; column++) {
      const pixel = 4 * (line + Math.min(Math.max(column - margin, 0), image.width - 1));
      const place = row * padWidth + column;
      input[place] = image.data[pixel + 2];
      input[plane + place] = image.data[pixel + 1];
      input[2 * plane + place] = image.data[pixel];
    }
  }
  const outputs = await network.run(input, [1, 3, padHeight, padWidth]);
  return suppressed(STRIDES.flatMap((stride) => decoded(outputs, stride, padWidth / stride)));
}

function decoded(outputs: Record<string, Float32Array>, stride: number, columns: number): Face[] {
  const [cls, obj, bbox, kps] = ["cls", "obj", "bbox", "kps"].map((kind) => outputs[`${kind}_${stride}`]);
  const clamp = (value: number) => Math.min(Math.max(value, 0), 1);
  const faces: Face[] = [];
  for (let index = 0; index < cls.length; index++) {
    const score = Math.sqrt(clamp(cls[index]) * clamp(obj[index]));
    if (score < SCORE_THRESHOLD) continue;
    const [column, row] = [index % columns, Math.floor(index / columns)];
    const width = Math.exp(bbox[4 * index + 2]) * stride;
    const height = Math.exp(bbox[4 * index + 3]) * stride;
    const x = (column + bbox[4 * index]) * stride - width / 2;
    const y = (row + bbox[4 * index + 1]) * stride - height / 2;
    const [first, second] = [0, 2].map((at): [number, number] => [
      (kps[10 * index + at] + column) * stride,
      (kps[10 * index + at + 1] + row) * stride,
    ]);
    if (![x, y, width, height, ...first, ...second].every(Number.isFinite)) continue;
    faces.push({ box: [x, y, width, height], score, eyes: first[0] <= second[0] ? [first, second] : [second, first] });
  }
  return faces;
}

/** Of faces that overlap, the surest; boxes are compared in whole pixels, as OpenCV does */
function suppressed(faces: Face[]): Face[] {
  const kept: { face: Face; box: number[] }[] = [];
  for (const face of faces.toSorted((a, b) => b.score - a.score)) {
    const box = face.box.map(Math.trunc);
    if (kept.every((other) => overlap(box, other.box) <= OVERLAP_THRESHOLD)) kept.push({ face, box });
  }
  return kept.map(({ face }) => face);
}

/** Intersection over union of two boxes (x, y, width, height) */
export function overlap(a: ArrayLike<number>, b: ArrayLike<number>) {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}
