/* Tabs as the ARIA Authoring Practices have them: arrow keys move, one tab stop for all. */
import { h } from "./dom";

export interface Tab {
  id: string;
  name: string;
  content: Node;
  /** When another tab is chosen */
  left?: () => void;
}

export function tabs(list: Tab[]): HTMLElement {
  const panels = list.map(({ id, content }) =>
    h("div", { role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}` }, content),
  );
  const buttons = list.map(({ id, name }, index) =>
    h(
      "button",
      { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, click: () => choose(index) },
      name,
    ),
  );
  let chosen = 0;

  function choose(index: number) {
    if (index !== chosen) list[chosen].left?.();
    chosen = index;
    buttons.forEach((button, i) => {
      button.setAttribute("aria-selected", String(i === index));
      button.classList.toggle("selected", i === index);
      button.tabIndex = i === index ? 0 : -1;
      panels[i].hidden = i !== index;
    });
  }

  function move(event: KeyboardEvent) {
    const last = list.length - 1;
    const next = { ArrowRight: chosen === last ? 0 : chosen + 1, ArrowLeft: chosen || last + 1, Home: 0, End: last };
    if (!(event.key in next)) return;
    event.preventDefault();
    const index = next[event.key as keyof typeof next];
    choose(event.key === "ArrowLeft" ? index - 1 : index);
    buttons[chosen].focus();
  }

  const bar = h("div", { role: "tablist", "aria-label": document.title }, ...buttons);
  bar.addEventListener("keydown", move);
  choose(0);
  return h("div", { id: "tabs" }, bar, ...panels);
}
