/* A screen reader hears each answer once; the element stays, as a live region must. */
import { h } from "./dom";

export const announcer = h("div", { id: "fer-announcer", role: "status" });

export function announce(words: string) {
  if (announcer.textContent !== words) announcer.textContent = words;
}
