/** An ARIA live region: screen readers announce its text. */

import { element } from './elements';

/** Milliseconds before a text may be replaced, so that screen readers notice it. */
const NOTICED = 1000;

export class LiveRegion {
  /** `className`: a class that hides the element visually, but not from screen readers. */
  constructor(className: string) {
    this._node.className = className;
    this._node.setAttribute('aria-live', 'polite');
    document.body.append(this._node);
  }

  /** Announce a text after the previous one. The text stays: screen readers may announce removals, too. */
  say(text: string): void {
    const now = performance.now();
    if (now - this._said >= NOTICED) {
      this._node.replaceChildren();
    }
    this._said = now;
    this._node.append(element('div', '', text));
  }

  private _said = -NOTICED;
  private readonly _node = document.createElement('div');
}
