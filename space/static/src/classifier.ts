/* Grey crops to probabilities and class activation maps, as space/classifier.py does it. */
import app from "generated/app.json";
import { type Raster, resize } from "./resample";
import type { Network } from "./runtime";
import { softmax } from "./softmax";

const BATCH = 16; // crops a run; a crowd's picture takes several

export interface Prediction {
  /** In the order of the model's labels; they sum to 1 */
  probabilities: number[];
  /** Evidence [class][row][column]; null where the model's graph has no such output */
  cam: number[][][] | null;
}

/** The network's input for `crops`, repeated to its channels */
function pixelValues(crops: Raster[]): Float32Array {
  const { inputSize, mean, std, interpolation } = app.model;
  const [channels, height, width] = inputSize;
  const plane = height * width;
  const values = new Float32Array(crops.length * channels * plane);
  crops.forEach((crop, index) => {
    const { data } = resize(crop, width, height, interpolation);
    for (let channel = 0; channel < channels; channel++) {
      const start = (index * channels + channel) * plane;
      for (let pixel = 0; pixel < plane; pixel++) {
        values[start + pixel] = (data[pixel] / 255 - mean[channel]) / std[channel];
      }
    }
  });
  return values;
}

/** A `Prediction` for each crop */
export async function classify(network: Network, crops: Raster[]): Promise<Prediction[]> {
  const found: Prediction[] = [];
  const classes = app.model.labels.length;
  for (let start = 0; start < crops.length; start += BATCH) {
    const batch = crops.slice(start, start + BATCH);
    const { logits, cam } = await network.run(pixelValues(batch), [batch.length, ...app.model.inputSize]);
    const [rows, columns] = network.shapes.cam?.slice(2) ?? [0, 0];
    batch.forEach((_, index) => {
      const at = (label: number, row: number) => ((index * classes + label) * rows + row) * columns;
      found.push({
        probabilities: softmax([...logits.subarray(index * classes, (index + 1) * classes)]),
        cam: cam
          ? app.model.labels.map((_, label) =>
              Array.from({ length: rows }, (_, row) => [...cam.subarray(at(label, row), at(label, row) + columns)]),
            )
          : null,
      });
    });
  }
  return found;
}
