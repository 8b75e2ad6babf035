/* A picture that moves as its first frame: that is what was read, and boxes over another would lie. */
const HEAD = 65_536; // bytes: what says that a picture moves comes before its first frame, a colour profile at most before it
const MOVES = /^GIF8|acTL|ANIM|avis/; // GIF, and by their marks PNG, WebP and AVIF; whatever the file's name
const MOST_PIXELS = 16_777_216; // of Safari's largest canvas, as in space/save.js

/** The file itself, or a PNG of its first frame where it may move and the browser can draw it */
export async function still(file: Blob): Promise<Blob> {
  if (!MOVES.test(await file.slice(0, HEAD).text())) return file;
  try {
    const bitmap = await createImageBitmap(file);
    const { width, height } = bitmap;
    const canvas = width * height > MOST_PIXELS ? null : new OffscreenCanvas(width, height);
    canvas?.getContext("2d")!.drawImage(bitmap, 0, 0);
    bitmap.close();
    return (await canvas?.convertToBlob()) ?? file;
  } catch {
    return file; // no memory, say: a picture that moves is better than none
  }
}
