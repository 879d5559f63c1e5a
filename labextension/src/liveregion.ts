/** Tells a screen reader what changes on a page, once it has said what it is saying. */

/** Milliseconds in which a text is noticed before another one may replace it. */
const NOTICED = 1000;

export class LiveRegion {
  /** `className`: of an element that nobody sees, and that is not hidden from screen readers. */
  constructor(className: string) {
    this._node.className = className;
    this._node.setAttribute('aria-live', 'polite');
    document.body.append(this._node);
  }

  /** Have a text read aloud, after what was said just before. It stays: what is taken away may be read, too. */
  say(text: string): void {
    const now = performance.now();
    if (now - this._said >= NOTICED) {
      this._node.replaceChildren();
    }
    this._said = now;
    const line = document.createElement('div');
    line.textContent = text;
    this._node.append(line);
  }

  private _said = -NOTICED;
  private readonly _node = document.createElement('div');
}
