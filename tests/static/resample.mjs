/* Runs src/resample.ts as it stands (Node strips the types): {cases: [{call, arguments, image}]} in, rasters out. */
import { readFileSync } from "node:fs";
import * as resample from "../../space/static/src/resample.ts";

const { cases } = JSON.parse(readFileSync(0, "utf8"));
const answers = cases.map(({ call, image, values }) => {
  const raster = { ...image, data: Uint8Array.from(Buffer.from(image.data, "base64")) };
  const { width, height, data } = resample[call](raster, ...values);
  return { width, height, data: Buffer.from(data).toString("base64") };
});
process.stdout.write(JSON.stringify(answers));
