/* Runs src/tracking.ts as it stands: [{now, found}] in, the tracks in view after each out. */
import "./hooks.mjs";
import { readFileSync } from "node:fs";

const { Tracker } = await import("../../space/static/src/tracking.ts");
const tracker = new Tracker();
const answers = JSON.parse(readFileSync(0, "utf8")).map(({ now, found }) =>
  tracker.update(now, found).map(({ number, box, probabilities, history }) => {
    return { number, box, probabilities, length: history.length };
  }),
);
process.stdout.write(JSON.stringify(answers));
