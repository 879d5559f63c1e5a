/** The cells that an offer changes, while the user and others edit them. */

import type { ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { hasOtherCursor, type IStep, onEdit } from '../collaboration';
import type { IEdit } from '../wire';
import type { IChangedName } from './identifiers';
import { JointUndo, undoesJointly } from './jointundo';
import {
  type IReplacement,
  isCurrent,
  linesAround,
  moved,
  movedPosition,
  replacementOf
} from './replacements';

/** Undo steps in which the user may have typed a name. */
const MOST_STEPS = 50;

/** An edit by the user that an offer completes. */
export interface IOwnEdit {
  model: ICellModel;
  /** the text before it, and after it */
  before: string;
  after: string;
  change: IChangedName;
}

/** The replacements in each cell, in the order in which they are applied one by one. */
type Replacements = Map<ICellModel, IReplacement[]>;

export class OfferEdits {
  /**
   * `onConflict` is called if replacements are dropped: an edit has touched their text, or with `byLine`, their lines,
   * or their cell has been deleted.
   */
  constructor(
    readonly edits: Replacements,
    private readonly _isLocked: (model: ICellModel) => boolean,
    private readonly _onConflict: () => void,
    private readonly _byLine: boolean
  ) {
    this._follow();
  }

  get length(): number {
    return [...this.edits.values()].flat().length;
  }

  /** The cells that may not be changed now. */
  get locked(): ICellModel[] {
    return [...this.edits.keys()].filter(this._isLocked);
  }

  /** The cell and the replacement that `applyNext` applies, or null. */
  get next(): [ICellModel, IReplacement] | null {
    const [first] = this.edits;
    return first ? [first[0], first[1][0]] : null;
  }

  /**
   * Make the changes as one undo step, also of the cells `offered`; return null, without any change, if a text differs.
   * The step includes the user's edit `own` if it is the last one in the history of its cell.
   */
  apply(offered: readonly ICellModel[], own: IOwnEdit | null = null): JointUndo | null {
    this.release();
    const isUnchanged = own?.model.sharedModel.getSource() === own?.after; // another offer may have changed the cell
    return applyEdits(this.edits, this._unlocked(offered), isUnchanged ? own : null);
  }

  /** Make the next change, as an undo step, also of the cells `offered`; return null if the text differs. */
  applyNext(offered: readonly ICellModel[]): JointUndo | null {
    const { next } = this;
    this.release();
    const applied = next && applyEdits(new Map([[next[0], [next[1]]]]), this._unlocked(offered));
    if (applied) {
      const [model, done] = next;
      this._keep(model, edit => {
        const [start, end] = [edit.start, edit.end].map(position => movedPosition(position, [done]));
        const moved = { ...edit, start, end };
        return edit !== done && isCurrent(model.sharedModel.getSource(), moved) ? moved : null;
      });
    }
    this._follow();
    return applied;
  }

  /** Drop the replacements in cells that may not be changed now; return the cells. */
  omitLocked(): ICellModel[] {
    const { locked } = this;
    this.release();
    locked.forEach(model => this.edits.delete(model));
    this._follow();
    return locked;
  }

  /** Stop following the cells. */
  release(): void {
    Signal.clearData(this);
  }

  private _unlocked(models: readonly ICellModel[]): ICellModel[] {
    return models.filter(model => !this._isLocked(model));
  }

  private _follow(): void {
    for (const model of this.edits.keys()) {
      this._sources.set(model, model.sharedModel.getSource());
      onEdit(model, steps => this._edited(model, steps), this);
      model.sharedModel.disposed.connect(() => this._deleted(model), this);
    }
  }

  /** Replace the replacements of a cell by new ones; return whether all were kept. */
  private _keep(model: ICellModel, next: (edit: IReplacement) => IReplacement | null): boolean {
    const edits = this.edits.get(model) ?? [];
    const kept = edits.map(next).filter(edit => edit !== null);
    if (kept.length > 0) {
      this.edits.set(model, kept);
    } else {
      this.edits.delete(model);
    }
    return kept.length === edits.length;
  }

  private _edited(model: ICellModel, steps: readonly IStep[]): void {
    const [before, after] = [this._sources.get(model) ?? '', model.sharedModel.getSource()];
    this._sources.set(model, after);
    const next = (edit: IReplacement): IReplacement | null => {
      const kept = moved(edit, steps);
      const isTouched = this._byLine && kept && linesAround(before, edit) !== linesAround(after, kept);
      return isTouched ? null : kept;
    };
    if (!this._keep(model, next)) {
      this._onConflict();
    }
  }

  private _deleted(model: ICellModel): void {
    if (this.edits.delete(model)) {
      this._onConflict();
    }
  }

  /** The texts of the cells before the next edit. */
  private readonly _sources = new WeakMap<ICellModel, string>();
}

/** Make changes as one undo step. */
function applyEdits(
  edits: Replacements,
  offered: readonly ICellModel[],
  own: IOwnEdit | null = null
): JointUndo | null {
  const edited = [...edits];
  if (
    !edited.every(([{ sharedModel }, edits]) => edits.every(edit => isCurrent(sharedModel.getSource(), edit)))
  ) {
    return null;
  }
  const models = new Set([...(own ? [own.model] : []), ...edits.keys()]);
  const change = (isSeparate: boolean): void => {
    if (own && isSeparate) {
      repeat(own);
    }
    for (const [{ sharedModel }, edits] of edited) {
      sharedModel.transact(() => {
        for (const { start, end, text } of [...edits].sort((one, other) => other.start - one.start)) {
          sharedModel.updateSource(start, end, text);
        }
      });
    }
  };
  return new JointUndo([...models], change, offered);
}

/** Undo the user's edit, and make it again as part of the next undo step. */
function repeat({ model, before, change: { start, old, name } }: IOwnEdit): void {
  const { sharedModel } = model;
  const replace = (replaced: string): void => sharedModel.updateSource(start, start + replaced.length, name);
  let steps = 0;
  while (
    steps < MOST_STEPS &&
    sharedModel.getSource() !== before &&
    !undoesJointly(model) && // it would be undone in the other cells, too
    sharedModel.undo()
  ) {
    steps++;
  }
  if (steps > 0 && sharedModel.getSource() === before) {
    replace(old);
    return;
  }
  for (; steps > 0; steps--) {
    sharedModel.redo();
  }
  replace(name); // the history needs a change
}

/**
 * Find the cells of edits; null if the text of one of them differs, or may not be changed. With `isPartial`, omit such
 * edits, and those in cells in which another user has the cursor; null if none is left, and
 * drop the others when their lines are edited.
 */
export function targetOf(
  { content }: NotebookPanel,
  cells: readonly ICellModel[],
  edits: readonly IEdit[],
  onConflict: () => void,
  isPartial = false
): OfferEdits | null {
  const found: Replacements = new Map();
  const isLocked = (model: ICellModel): boolean =>
    content.widgets.find(cell => cell.model === model)?.readOnly !== false ||
    (isPartial && hasOtherCursor(model.sharedModel));
  for (const edit of edits) {
    const model = cells[edit.cell];
    const replacement = !isLocked(model) && replacementOf(model.sharedModel.getSource(), edit);
    if (replacement) {
      found.set(model, [...(found.get(model) ?? []), replacement]);
    } else if (!isPartial) {
      return null;
    }
  }
  return isPartial && found.size === 0 ? null : new OfferEdits(found, isLocked, onConflict, isPartial);
}
