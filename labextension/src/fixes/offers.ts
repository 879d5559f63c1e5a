/** The offers that are shown, and the one of a notebook to which the shortcuts refer. */

import type { Notebook } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import type { Offer } from './offer';

/** The kinds of offers, by ascending priority. */
const KINDS = ['check', 'suggestRepeats', 'suggestRenames', 'suggestFixes'] as const;
export type Kind = (typeof KINDS)[number];
/** The settings that allow offers. */
export type Setting = Exclude<Kind, 'check'>;

/** Classes for the selectors of the shortcuts: without an offer, a keystroke does what it does otherwise. */
const NOTEBOOK_CLASS = 'jp-mod-turbopilot-canApply';
const ALL_CLASS = 'jp-mod-turbopilot-canApplyAll';
/** Of the offer that the shortcut applies: only its button shows the shortcut. */
const NEXT_CLASS = 'jp-mod-turbopilot-isNext';
/** Of the cell; of the notebook if the offer can be dismissed in all cells. */
const DISMISS_CLASS = 'jp-mod-turbopilot-hasOffer';

export class Offers {
  /** Emitted when an offer has been added, changed or removed. */
  readonly changed = new Signal<this, void>(this);

  /** Emitted when a setting or an off switch has changed. */
  readonly switched = new Signal<this, void>(this);

  /** Add an offer; `isAllowed` returns whether it may still be shown. */
  add(offer: Offer, kind: Kind, isAllowed: () => boolean): void {
    this._offers.set(offer, { kind, isAllowed });
    offer.changed.connect(() => this._update(offer));
    offer.disposed.connect(() => {
      this._offers.delete(offer);
      this._update(offer);
    });
    this._update(offer);
  }

  /**
   * Return the newest offer of a notebook that can be applied: a fix, a rename, a repeated edit, or a check's, in this
   * order. A check's is in the active cell, and comes before an older offer of another cell.
   */
  newestIn(notebook: Notebook | null, action: 'primary' | 'all' = 'primary'): Offer | undefined {
    const shown = this._offersOf(notebook).filter(offer => offer[action] !== null);
    const [first, next] = [shown.at(0), shown.at(-1)];
    if (first && next && first.cell !== next.cell && this._offers.get(first)?.kind === 'check') {
      const oldest = [...this._offers.keys()].find(offer => offer === first || offer === next);
      return oldest === first ? next : first;
    }
    return next;
  }

  /** Return the number of fixes in a notebook if the shortcut applies one of them. */
  countFixes(notebook: Notebook | null): number {
    const isFix = (offer: Offer): boolean =>
      offer.primary !== null &&
      !offer.isReport &&
      ['check', 'suggestFixes'].includes(this._offers.get(offer)?.kind ?? '');
    const next = this.newestIn(notebook);
    return next && isFix(next) ? this._offersOf(notebook).filter(isFix).length : 0;
  }

  /** Return the offer of the active cell, or else the repeated edit of the notebook, or else its newest offer. */
  dismissibleIn(notebook: Notebook | null): Offer | undefined {
    const shown = this._offersOf(notebook);
    const here = shown.filter(({ cell }) => cell === notebook?.activeCell).at(-1);
    return here ?? shown.filter(offer => this._isEverywhere(offer)).at(-1) ?? shown.at(-1);
  }

  /** Remove the offers that may no longer be shown, after a setting or an off switch has changed. */
  removeDisallowed(): void {
    for (const [offer, { isAllowed }] of [...this._offers]) {
      if (!isAllowed()) {
        offer.dispose();
      }
    }
    this.switched.emit();
  }

  /** Return the offers of a notebook by kind, oldest first. */
  private _offersOf(notebook: Notebook | null): Offer[] {
    return [...this._offers]
      .filter(([{ panel }]) => panel.content === notebook)
      .sort(([, one], [, other]) => KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind))
      .map(([offer]) => offer);
  }

  /** Return whether an offer can be dismissed in all cells, because it moves to the next occurrence. */
  private _isEverywhere(offer: Offer): boolean {
    return this._offers.get(offer)?.kind === 'suggestRepeats';
  }

  private _update({ panel, cell }: Offer): void {
    const { content, node } = panel;
    const shown = this._offersOf(content);
    const next = this.newestIn(content);
    shown.forEach(offer => offer.toggleClass(NEXT_CLASS, offer === next));
    node.classList.toggle(NOTEBOOK_CLASS, next !== undefined);
    node.classList.toggle(ALL_CLASS, this.newestIn(content, 'all') !== undefined);
    content.node.classList.toggle(
      DISMISS_CLASS,
      shown.some(offer => this._isEverywhere(offer))
    );
    cell.node.classList.toggle(
      DISMISS_CLASS,
      shown.some(offer => offer.cell === cell)
    );
    this.changed.emit();
  }

  private readonly _offers = new Map<Offer, { kind: Kind; isAllowed: () => boolean }>();
}
