/** Create HTML elements. */

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  text = ''
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Return the parts of a text; those between backticks are code. */
export function withCode(text: string): (string | HTMLElement)[] {
  return text.split(/`([^`]+)`/).map((part, index) => (index % 2 ? element('code', '', part) : part));
}

export function button(label: string, type: 'button' | 'submit'): HTMLButtonElement {
  const made = element('button', 'jp-mod-styled jp-mod-minimal', label);
  made.type = type;
  return made;
}
