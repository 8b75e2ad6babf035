/* A picture's file to upright RGBA pixels within the limits, or the sentence that says why not. */
import app from "generated/app.json";
import type { Raster } from "./resample";

/** Something that the page will not do: the key of a sentence, and what to fill in */
export class Refusal extends Error {
  constructor(
    readonly key: string,
    readonly values: Record<string, string | number> = {},
  ) {
    super(key);
  }
}

export interface Picture {
  raster: Raster;
  /** Width and height of the upright original, of which the raster may be a reduction */
  size: [number, number];
}

/**
 * Pixels as they are stored: Pillow, which the network has learnt from, applies no colour profile. Upright is every
 * browser's default; its name, "from-image", is a TypeError in Safari before 17.2.
 */
const AS_STORED: ImageBitmapOptions = {
  colorSpaceConversion: "none",
  premultiplyAlpha: "none",
};

export async function decode(file: Blob): Promise<Picture> {
  const { megabytes, megapixels, decodedMegapixels } = app.limits;
  if (!file.size) throw new Refusal("picture_empty");
  if (file.size > megabytes * 1e6) {
    const tenths = Math.ceil(file.size / 1e5); // rounded up, so that it is more than the limit
    throw new Refusal("picture_too_heavy", { megabytes: tenths / 10, limit: megabytes });
  }
  const bitmap = await createImageBitmap(file, AS_STORED).catch(() => {
    throw new Refusal("picture_unknown");
  });
  const { width, height } = bitmap;
  if (width * height > megapixels * 1e6) {
    bitmap.close();
    throw new Refusal("picture_too_large", { limit: megapixels });
  }
  let divisor = 1;
  while ((width * height) / divisor ** 2 > decodedMegapixels * 1e6) divisor *= 2;
  return { raster: pixelsOf(bitmap, divisor), size: [width, height] };
}

/** The bitmap's pixels on white, each side divided by `divisor`; the bitmap is closed */
export function pixelsOf(bitmap: ImageBitmap, divisor = 1): Raster {
  const [width, height] = [Math.ceil(bitmap.width / divisor), Math.ceil(bitmap.height / divisor)];
  const pen = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true })!;
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, bitmap.width / divisor, bitmap.height / divisor);
  bitmap.close();
  return { width, height, channels: 4, data: pen.getImageData(0, 0, width, height).data };
}
