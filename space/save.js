/* What is on the page as a file, made here: it leaves the browser only to its own disk. Shared by the app's page
   (space/theme.py) and the one without a server (space/static). */

/** @param {string} name @param {Blob} content */
export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * The answer of /predict as a table, one row for each face
 * @param {{ faces: { box: number[], emotion: string, confidence: number, probabilities: Record<string, number> }[] }} answer
 */
export function csv({ faces }) {
  const labels = Object.keys(faces[0].probabilities);
  const rows = faces.map(({ box, emotion, confidence, probabilities }, index) =>
    [index + 1, ...box, emotion, confidence, ...labels.map((label) => probabilities[label])]);
  return [["face", "x", "y", "width", "height", "emotion", "confidence", ...labels], ...rows]
    .map((row) => `${row.join(",")}\r\n`).join("");
}

/* The pixels of Safari's largest canvas: a larger one gives no file, or stays blank. */
const MOST_PIXELS = 16_777_216;

/**
 * A PNG of the picture with its faces drawn in, at its own pixels, or as many as the browser can draw; boxes are
 * x, y, width, height in the picture's pixels
 * @param {HTMLImageElement} picture
 * @param {{ box: number[], text: string, colour: string }[]} faces
 * @returns {Promise<Blob | null>} null where the browser has no memory for it
 */
export async function annotated(picture, faces) {
  const whole = await png(draw(picture, faces, 1));
  const less = Math.sqrt(MOST_PIXELS / (picture.naturalWidth * picture.naturalHeight));
  return whole || less >= 1 ? whole : png(draw(picture, faces, less));
}

/**
 * @param {HTMLImageElement} picture
 * @param {{ box: number[], text: string, colour: string }[]} faces
 * @param {number} scale of both sides
 * @returns {HTMLCanvasElement | null} null where the browser refuses a canvas of this size
 */
function draw(picture, faces, scale) {
  const scaled = (/** @type {number} */ side) => Math.max(1, Math.floor(side * scale));
  const [width, height] = [scaled(picture.naturalWidth), scaled(picture.naturalHeight)];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d");
  if (!pen || (width * height > MOST_PIXELS && staysBlank(pen))) return null;
  const unit = Math.max(12, Math.round(Math.max(width, height) / 60));
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, width, height);
  pen.font = `600 ${unit}px system-ui, sans-serif`;
  pen.lineWidth = Math.max(2, unit / 6);
  for (const { box, text, colour } of faces) {
    const [x, y, w, h] = box.map((value) => value * scale);
    const long = pen.measureText(text).width + unit;
    const left = Math.max(0, Math.min(x, width - long));
    const top = y > unit * 1.6 ? y - unit * 1.5 : y; /* over the box, or inside where the picture ends */
    pen.strokeStyle = colour;
    pen.strokeRect(x, y, w, h);
    pen.fillStyle = "#14161b";
    pen.fillRect(left, top, long, unit * 1.5);
    pen.fillStyle = colour;
    pen.fillRect(left, top, unit * 0.3, unit * 1.5);
    pen.fillStyle = "#fff";
    pen.fillText(text, left + unit * 0.6, top + unit * 1.1);
  }
  return canvas;
}

/** @param {CanvasRenderingContext2D} pen of a new canvas */
function staysBlank(pen) {
  pen.fillRect(0, 0, 1, 1);
  const blank = pen.getImageData(0, 0, 1, 1).data[3] === 0;
  pen.clearRect(0, 0, 1, 1);
  return blank;
}

/**
 * @param {HTMLCanvasElement | null} canvas
 * @returns {Promise<Blob | null>}
 */
function png(canvas) {
  return new Promise((done) => {
    if (!canvas) return done(null);
    canvas.toBlob((blob) => {
      canvas.width = canvas.height = 0; /* Safari keeps its memory otherwise, and has little for a second one */
      done(blob);
    }, "image/png");
  });
}
