/* Faces over time: each keeps its number, and its box and probabilities are smoothed, as space/tracking.py does it. */
import app from "generated/app.json";
import { overlap } from "./detector";

const { smoothingSeconds, boxSeconds, forgetSeconds, historySeconds, leastOverlap } = app.tracking;

export interface Track {
  number: number;
  box: number[];
  probabilities: number[];
  seen: number;
  /** Seconds and probabilities of the last half minute */
  history: { at: number; probabilities: number[] }[];
}

/** The new value's share in an exponential average after `seconds`, whatever the pictures' rate */
const weight = (seconds: number, constant: number) => 1 - Math.exp(-Math.max(seconds, 0) / constant);

const blend = (old: number[], now: number[], share: number) => old.map((value, i) => value + share * (now[i] - value));

/** Numbers faces from 1 as they come into view. Times are seconds of one clock that never goes back. */
export class Tracker {
  private tracks: Track[] = [];
  private count = 0;

  /** The tracks in view, in the order of the boxes given; pairs are matched greedily by overlap */
  update(now: number, found: { box: number[]; probabilities: number[] }[]): Track[] {
    this.tracks = this.tracks.filter((track) => now - track.seen <= forgetSeconds);
    const pairs = this.tracks
      .flatMap((track) => found.map((face, index) => ({ track, index, shared: overlap(track.box, face.box) })))
      .filter(({ shared }) => shared >= leastOverlap)
      .sort((a, b) => b.shared - a.shared);
    const matched = new Map<number, Track>();
    const taken = new Set<Track>();
    for (const { track, index } of pairs) {
      if (matched.has(index) || taken.has(track)) continue;
      matched.set(index, track);
      taken.add(track);
    }
    return found.map(({ box, probabilities }, index) => {
      let track = matched.get(index);
      if (!track) {
        track = { number: ++this.count, box, probabilities, seen: now, history: [] };
        this.tracks.push(track);
      } else {
        track.box = blend(track.box, box, weight(now - track.seen, boxSeconds));
        track.probabilities = blend(track.probabilities, probabilities, weight(now - track.seen, smoothingSeconds));
        track.seen = now;
      }
      track.history = track.history.filter(({ at }) => now - at <= historySeconds);
      track.history.push({ at: now, probabilities: track.probabilities });
      return track;
    });
  }
}
