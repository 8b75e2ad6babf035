/* Elements without HTML in strings: the page's policy forbids style attributes, and nothing needs escaping. */

type Attributes = Record<string, string | number | boolean | EventListener>;

function build<E extends Element>(element: E, attributes: Attributes, children: (Node | string)[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "style") (element as unknown as HTMLElement).style.cssText = String(value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** An HTML element; functions among the attributes listen to the event of that name */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  return build(document.createElement(tag), attributes, children);
}

/** Gradio's HTML component: space/style.css means the element with the id and this one inside it */
export function slot(id: string, ...children: Node[]): { element: HTMLElement; show(...children: Node[]): void } {
  const inner = h("div", {}, ...children);
  return { element: h("div", { id }, inner), show: (...shown) => inner.replaceChildren(...shown) };
}

/** An SVG element */
export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Node[]
): SVGElementTagNameMap[Tag] {
  return build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}
