/* What the page says, in the reader's language. */
import app from "generated/app.json";

const DEFAULT = "en";

export const language =
  navigator.languages.map((tag) => tag.split("-")[0].toLowerCase()).find((tag) => tag in app.texts) ?? DEFAULT;

let texts: Record<string, string> = {};

export async function loadTexts() {
  const response = await fetch(new URL(app.texts[language], document.baseURI));
  if (!response.ok) throw new Error(`${response.url}: HTTP ${response.status}`);
  texts = await response.json();
}

/** The sentence `key` with `values` filled in */
export function say(key: string, values: Record<string, string | number> = {}) {
  if (!(key in texts)) throw new Error(`no sentence ${key}`);
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** How many faces there are, in words */
export function facesFound(count: number) {
  if (count > 1) return say("faces_many", { count });
  return say(count ? "faces_one" : "faces_none");
}

/** A class's name for people; one that the languages do not know keeps its own */
export function emotionName(label: string) {
  const plain = label.replaceAll("_", " ");
  return texts[`emotion_${label}`] ?? plain.charAt(0).toUpperCase() + plain.slice(1).toLowerCase();
}

/** A probability for people: 93%, and never a false 100 or 0; on one line where the language has a space in it */
export function percent(p: number) {
  let words = say("percent", { number: (p * 100).toFixed(0) });
  if (p >= 0.995 && p < 1) words = `> ${say("percent", { number: 99 })}`;
  if (p > 0 && p < 0.005) words = `< ${say("percent", { number: 1 })}`;
  return words.replaceAll(" ", "\u00a0");
}
