/* The face as the network learnt it; space/crop.py says why each step is there. */
import app from "generated/app.json";
import { type Raster, resize, rotate } from "./resample";

export type Point = [number, number];

/** A detected face, in pixels of the picture that was searched */
export interface Face {
  /** x, y, width, height */
  box: [number, number, number, number];
  score: number;
  /** The one on the picture's left first */
  eyes: [Point, Point];
}

/** A square in a picture, turned clockwise about its centre by `angle` degrees */
export interface Frame {
  centre: Point;
  side: number;
  angle: number;
}

const { side: SIDE, workingSide: WORKING_SIDE, levelEnough: LEVEL_ENOUGH } = app.crop;
const radians = (degrees: number) => (degrees * Math.PI) / 180;

/** The frame that FER-2013 would have cut around a face, levelled by its eyes */
export function frameOf(face: Face): Frame {
  const { centreX, centreY, width: share } = app.detector;
  const [x, y, width, height] = face.box;
  const side = width / share;
  const [[x0, y0], [x1, y1]] = face.eyes;
  const angle = (Math.atan2(y1 - y0, x1 - x0) * 180) / Math.PI;
  const [right, down] = [(0.5 - centreX) * side, (0.5 - centreY) * side];
  const [cos, sin] = [Math.cos(radians(angle)), Math.sin(radians(angle))];
  return { centre: [x + width / 2 + right * cos - down * sin, y + height / 2 + right * sin + down * cos], side, angle };
}

/** The largest square in the middle, for a picture that is a face and nothing else */
export function wholeFrame(image: Raster): Frame {
  return { centre: [image.width / 2, image.height / 2], side: Math.min(image.width, image.height), angle: 0 };
}

/** The grey pixels inside `frame`, 48 x 48; beyond the picture's border the border is repeated */
export function cut(image: Raster, frame: Frame): Raster {
  if (Math.abs(frame.angle) <= LEVEL_ENOUGH) return straight(image, frame.centre, frame.side, SIDE);
  const reach = Math.abs(Math.cos(radians(frame.angle))) + Math.abs(Math.sin(radians(frame.angle)));
  const pixels = Math.ceil(WORKING_SIDE * reach);
  const around = straight(image, frame.centre, (frame.side * pixels) / WORKING_SIDE, pixels);
  const margin = (pixels - WORKING_SIDE) / 2;
  const box = [margin, margin, margin + WORKING_SIDE, margin + WORKING_SIDE] as [number, number, number, number];
  return resize(rotate(around, frame.angle), SIDE, SIDE, "bicubic", box);
}

/** The upright square of `side` around `centre`, grey, resized with antialiasing */
function straight(image: Raster, centre: Point, side: number, pixels: number): Raster {
  const [left, top] = [centre[0] - side / 2, centre[1] - side / 2];
  const support = 2 * Math.max(1, side / pixels) + 1;
  const [x, y] = [Math.floor(left - support), Math.floor(top - support)];
  const around = grey(image, x, y, Math.ceil(left + side + support) - x, Math.ceil(top + side + support) - y);
  return resize(around, pixels, pixels, "bicubic", [left - x, top - y, left - x + side, top - y + side]);
}

/** Pillow's `convert("L")` of a window (ITU-R BT.601), the border repeated */
function grey(image: Raster, left: number, top: number, width: number, height: number): Raster {
  const data = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const line = Math.min(Math.max(top + row, 0), image.height - 1) * image.width;
    for (let column = 0; column < width; column++) {
      const pixel = 4 * (line + Math.min(Math.max(left + column, 0), image.width - 1));
      const [r, g, b] = [image.data[pixel], image.data[pixel + 1], image.data[pixel + 2]];
      data[row * width + column] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    }
  }
  return { width, height, channels: 1, data };
}
