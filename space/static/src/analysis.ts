/* From a picture to the expressions in it, as space/analysis.py does it: detect, crop, classify in one batch. */
import app from "generated/app.json";
import { classify } from "./classifier";
import { cut, type Frame, frameOf, wholeFrame } from "./crop";
import type { Picture } from "./decode";
import { detect, roundHalfEven } from "./detector";
import type { Networks } from "./runtime";

/** One face; `box` and `frame` in pixels of the upright original */
export interface FaceEmotion {
  /** x, y, width, height */
  box: [number, number, number, number];
  /** The turned square that the network saw */
  frame: Frame;
  /** What it saw: grey, 48 x 48 */
  crop: Uint8Array | Uint8ClampedArray;
  /** In the order of the model's labels */
  probabilities: number[];
  /** Evidence [class][row][column] */
  cam: number[][][] | null;
}

export interface Analysis {
  size: [number, number];
  faces: FaceEmotion[];
  detector: string;
  timing: { detect: number; crop: number; classify: number };
}

/** In the detector's place, where none was asked */
export const WHOLE = "none (whole picture)";

/** Pixels at which a camera's picture is searched: a quarter of the app's work, for faces of 20 pixels and more */
export const LIVE_SIDE = 320;

interface Options {
  /** The picture's middle square is taken as one face, unsearched */
  whole?: boolean;
  /** Pixels of the longer side at which faces are searched */
  side?: number;
}

export async function analyse({ raster, size }: Picture, networks: Networks, options: Options = {}): Promise<Analysis> {
  const { whole, side = app.detector.side } = options;
  const scale = size[0] / raster.width;
  const times = [performance.now()];
  const found = whole ? [] : await detect(networks.detector, raster, app.limits.faces, side);
  const frames = whole ? [wholeFrame(raster)] : found.map(frameOf);
  const boxes = whole
    ? frames.map(({ centre, side }) => [centre[0] - side / 2, centre[1] - side / 2, side, side])
    : found.map(({ box }) => box);
  times.push(performance.now());
  const crops = frames.map((frame) => cut(raster, frame));
  times.push(performance.now());
  const predictions = await classify(networks.classifier, crops);
  times.push(performance.now());
  return {
    size,
    faces: predictions.map((prediction, index) => ({
      box: within(boxes[index], scale, size),
      frame: {
        centre: frames[index].centre.map((value) => value * scale) as Frame["centre"],
        side: frames[index].side * scale,
        angle: frames[index].angle,
      },
      crop: crops[index].data,
      ...prediction,
    })),
    detector: whole ? WHOLE : app.detector.name,
    timing: { detect: times[1] - times[0], crop: times[2] - times[1], classify: times[3] - times[2] },
  };
}

/** A box scaled, rounded, and clipped to a picture of `size`; at least one pixel wide and high */
function within(box: number[], scale: number, size: [number, number]): FaceEmotion["box"] {
  const [left, top] = [0, 1].map((i) => Math.min(Math.max(roundHalfEven(box[i] * scale), 0), size[i] - 1));
  const right = Math.min(Math.max(roundHalfEven((box[0] + box[2]) * scale), left + 1), size[0]);
  const bottom = Math.min(Math.max(roundHalfEven((box[1] + box[3]) * scale), top + 1), size[1]);
  return [left, top, right - left, bottom - top];
}

/** Index of the most probable class */
export const winner = (probabilities: number[]) => probabilities.indexOf(Math.max(...probabilities));
