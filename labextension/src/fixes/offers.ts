/** The offers that are shown; the shortcuts refer to the newest one of a notebook. */

import type { Notebook } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import type { Offer } from './offer';

/** Classes for the selectors of the shortcuts: without an offer, a keystroke does what it does otherwise. */
const NOTEBOOK_CLASS = 'jp-mod-turbopilot-canApply';
const CELL_CLASS = 'jp-mod-turbopilot-hasOffer';

export class Offers {
  /** Emitted when an offer has been added, changed or removed. */
  readonly changed = new Signal<this, void>(this);

  /** Add an offer; `isAllowed` returns whether it may still be shown. */
  add(offer: Offer, isAllowed: () => boolean): void {
    this._offers.set(offer, isAllowed);
    offer.changed.connect(() => this._update(offer));
    offer.disposed.connect(() => {
      this._offers.delete(offer);
      this._update(offer);
    });
    this._update(offer);
  }

  /** Return the newest offer of a notebook that can be applied. */
  newestIn(notebook: Notebook | null): Offer | undefined {
    return this._offersOf(notebook)
      .filter(({ primary }) => primary !== null)
      .at(-1);
  }

  /** Return the newest offer of the active cell, or else of the notebook. */
  dismissibleIn(notebook: Notebook | null): Offer | undefined {
    const shown = this._offersOf(notebook);
    return shown.filter(({ cell }) => cell === notebook?.activeCell).at(-1) ?? shown.at(-1);
  }

  /** Remove the offers that may no longer be shown, after a setting or an off switch has changed. */
  removeDisallowed(): void {
    for (const [offer, isAllowed] of [...this._offers]) {
      if (!isAllowed()) {
        offer.dispose();
      }
    }
  }

  /** Return the offers of a notebook, oldest first. */
  private _offersOf(notebook: Notebook | null): Offer[] {
    return [...this._offers.keys()].filter(({ panel }) => panel.content === notebook);
  }

  private _update({ panel, cell }: Offer): void {
    panel.node.classList.toggle(NOTEBOOK_CLASS, this.newestIn(panel.content) !== undefined);
    cell.node.classList.toggle(
      CELL_CLASS,
      [...this._offers.keys()].some(offer => offer.cell === cell)
    );
    this.changed.emit();
  }

  private readonly _offers = new Map<Offer, () => boolean>();
}
