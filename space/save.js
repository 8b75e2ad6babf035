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

/**
 * A PNG of the picture at its own pixels with its faces drawn in; boxes are x, y, width, height in those pixels
 * @param {HTMLImageElement} picture
 * @param {{ box: number[], text: string, colour: string }[]} faces
 * @returns {Promise<Blob | null>} null where the browser has no memory for it
 */
export function annotated(picture, faces) {
  const { naturalWidth: width, naturalHeight: height } = picture;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const unit = Math.max(12, Math.round(Math.max(width, height) / 60));
  pen.drawImage(picture, 0, 0);
  pen.font = `600 ${unit}px system-ui, sans-serif`;
  pen.lineWidth = Math.max(2, unit / 6);
  for (const { box: [x, y, w, h], text, colour } of faces) {
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
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
