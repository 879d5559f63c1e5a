/** Tells a screen reader what changes on a page, once it has said what it is saying. */

export class LiveRegion {
  /** `className`: of an element that nobody sees, and that is not hidden from screen readers. */
  constructor(className: string) {
    this._node.className = className;
    this._node.setAttribute('aria-live', 'polite');
    document.body.append(this._node);
  }

  /** Have a text read aloud. It stays there: what is taken away may be read, too. */
  say(text: string): void {
    this._node.textContent = text;
  }

  private readonly _node = document.createElement('div');
}
