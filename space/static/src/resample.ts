/* Pillow's resampling to the bit: the network has learnt from pictures that were reduced by it (space/crop.py). */

/** 8-bit pixels, row by row, `channels` interleaved: 1 (grey) or 4 (RGBA) */
export interface Raster {
  width: number;
  height: number;
  channels: 1 | 4;
  data: Uint8Array | Uint8ClampedArray;
}

export type Filter = "bilinear" | "bicubic" | "lanczos";
/** Left, top, right, bottom in pixels, fractions allowed */
export type Box = [number, number, number, number];

const BITS = 22; // of the fixed-point coefficients

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const FILTERS: Record<Filter, { support: number; at: (x: number) => number }> = {
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    at: (value) => {
      const a = -0.5;
      const x = Math.abs(value);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
  lanczos: { support: 3, at: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** For each of `size` output pixels: the first input pixel, and the coefficients from there on. */
function coefficients(inputSize: number, from: number, to: number, size: number, filter: Filter) {
  const { support: radius, at } = FILTERS[filter];
  const scale = (to - from) / size;
  const filterScale = Math.max(scale, 1); // antialiasing: the support grows with the reduction
  const support = radius * filterScale;
  return Array.from({ length: size }, (_, index) => {
    const centre = from + (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(inputSize, Math.trunc(centre + support + 0.5));
    const weights = Array.from({ length: last - first }, (_, x) => at((x + first - centre + 0.5) / filterScale));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return {
      first,
      weights: Int32Array.from(weights, (weight) => {
        const share = (total === 0 ? weight : weight / total) * 2 ** BITS;
        return Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
      }),
    };
  });
}

/** One pass along `length` pixels that lie `step` numbers apart, repeated for `lines` lines that lie `stride` apart. */
function pass(
  source: Raster["data"],
  taps: ReturnType<typeof coefficients>,
  lines: number,
  [step, stride]: [number, number],
  [outStep, outStride]: [number, number],
  channels: number,
) {
  const out = new Uint8ClampedArray(taps.length * lines * channels);
  for (let line = 0; line < lines; line++) {
    for (let index = 0; index < taps.length; index++) {
      const { first, weights } = taps[index];
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (BITS - 1);
        let position = line * stride + first * step + channel;
        for (let tap = 0; tap < weights.length; tap++, position += step) sum += source[position] * weights[tap];
        out[line * outStride + index * outStep + channel] = sum >> BITS; // clamped by the array
      }
    }
  }
  return out;
}

/** `Image.resize((width, height), filter, box)` */
export function resize(image: Raster, width: number, height: number, filter: Filter, box?: Box): Raster {
  const { channels } = image;
  const [left, top, right, bottom] = box ?? [0, 0, image.width, image.height];
  const across = coefficients(image.width, left, right, width, filter);
  const down = coefficients(image.height, top, bottom, height, filter);
  const wide = pass(
    image.data, across, image.height, [channels, image.width * channels], [channels, width * channels], channels,
  );
  const data = pass(wide, down, width, [width * channels, channels], [width * channels, channels], channels);
  return { width, height, channels, data };
}

/** `Image.reduce((x, y))`: means of x by y pixels, of fewer at the right and lower border */
export function reduce(image: Raster, x: number, y: number): Raster {
  const { channels } = image;
  const width = Math.ceil(image.width / x);
  const height = Math.ceil(image.height / y);
  const data = new Uint8ClampedArray(width * height * channels);
  for (let row = 0; row < height; row++) {
    const rows = Math.min(y, image.height - row * y);
    for (let column = 0; column < width; column++) {
      const columns = Math.min(x, image.width - column * x);
      const count = rows * columns;
      const multiplier = Math.trunc(2 ** 32 / (256 * count));
      for (let channel = 0; channel < channels; channel++) {
        let sum = count >> 1;
        for (let dy = 0; dy < rows; dy++) {
          let position = ((row * y + dy) * image.width + column * x) * channels + channel;
          for (let dx = 0; dx < columns; dx++, position += channels) sum += image.data[position];
        }
        data[(row * width + column) * channels + channel] = Math.floor((sum * multiplier) / 2 ** 24);
      }
    }
  }
  return { width, height, channels, data };
}

/** `Image.resize(…, BILINEAR, reducing_gap=2)`: first by whole numbers to at least twice the size, then exactly */
export function resizeInTwoSteps(image: Raster, width: number, height: number): Raster {
  if (width === image.width && height === image.height) return image;
  const x = Math.trunc(image.width / width / 2) || 1;
  const y = Math.trunc(image.height / height / 2) || 1;
  if (x === 1 && y === 1) return resize(image, width, height, "bilinear");
  return resize(reduce(image, x, y), width, height, "bilinear", [0, 0, image.width / x, image.height / y]);
}

/** `Image.rotate(degrees, BICUBIC)` of a grey raster about its centre; black where there was nothing */
export function rotate(image: Raster, degrees: number): Raster {
  const { width, height, data: source } = image;
  const angle = (-degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const offsetX = cos * (-width / 2) + sin * (-height / 2) + width / 2;
  const offsetY = -sin * (-width / 2) + cos * (-height / 2) + height / 2;
  const data = new Uint8ClampedArray(width * height);
  const taps = [0, 0, 0, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let x = cos * (column + 0.5) + sin * (row + 0.5) + offsetX;
      let y = -sin * (column + 0.5) + cos * (row + 0.5) + offsetY;
      if (x < 0 || x >= width || y < 0 || y >= height) continue;
      x -= 0.5;
      y -= 0.5;
      const [left, top] = [Math.floor(x), Math.floor(y)];
      for (let dy = 0; dy < 4; dy++) {
        const line = Math.min(Math.max(top + dy - 1, 0), height - 1) * width;
        const at = (dx: number) => source[line + Math.min(Math.max(left + dx, 0), width - 1)];
        taps[dy] = cubic(at(-1), at(0), at(1), at(2), x - left);
      }
      const value = cubic(taps[0], taps[1], taps[2], taps[3], y - top);
      data[row * width + column] = Math.trunc(Math.min(Math.max(value, 0), 255));
    }
  }
  return { width, height, channels: 1, data };
}

/** The cubic through four neighbours, at `d` between the second and the third */
function cubic(a: number, b: number, c: number, d: number, at: number) {
  return b + at * (c - a + at * (2 * (a - b) + c - d + at * (b - a + d - c)));
}
