/* Which part of the face matters: cover one cell after the other, as space/occlusion.py does it. */
import app from "generated/app.json";
import { classify } from "./classifier";
import { roundHalfEven } from "./detector";
import type { Raster } from "./resample";
import type { Network } from "./runtime";

const GRID = 8;

/** Drops in the probability of class `label` [row][column] for a grey crop; positive where a cell matters */
export async function occlusionMap(network: Network, crop: Raster["data"], label: number): Promise<number[][]> {
  const { side } = app.crop;
  const cell = side / GRID;
  const mean = roundHalfEven(Array.from(crop).reduce((sum, value) => sum + value) / crop.length);
  const crops = [crop];
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      const covered = crop.slice();
      const [top, left] = [row, column].map((at) => Math.max(0, roundHalfEven((at - 0.5) * cell)));
      const [bottom, right] = [row, column].map((at) => roundHalfEven((at + 1.5) * cell));
      for (let y = top; y < Math.min(bottom, side); y++) {
        covered.fill(mean, y * side + left, y * side + Math.min(right, side));
      }
      crops.push(covered);
    }
  }
  const rasters = crops.map((data): Raster => ({ width: side, height: side, channels: 1, data }));
  const [before, ...after] = (await classify(network, rasters)).map(({ probabilities }) => probabilities[label]);
  return Array.from({ length: GRID }, (_, row) => after.slice(row * GRID, (row + 1) * GRID).map((p) => before - p));
}
