/** The cells that an offer changes, while the user and others edit them. */

import type { ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { IStep } from '../retention';
import type { IEdit } from '../wire';
import type { IChangedName } from './identifiers';
import { JointUndo } from './jointundo';
import { type IReplacement, isCurrent, moved, replacementOf } from './replacements';

/** Undo steps in which the user may have typed a name. */
const MOST_STEPS = 50;

/** An edit by the user that an offer completes. */
export interface IOwnEdit {
  model: ICellModel;
  /** the text before it */
  before: string;
  change: IChangedName;
}

export class OfferEdits {
  /** `onConflict` is called once if an edit touches the text that is replaced. */
  constructor(
    readonly edits: Map<ICellModel, IReplacement[]>,
    private readonly _onConflict: () => void
  ) {
    for (const model of edits.keys()) {
      model.sharedModel.changed.connect(this._edited);
    }
  }

  /**
   * Make the changes as one undo step; return null, without any change, if a text differs. The step includes the user's
   * edit of the cell `own`, from its text `before`, if it is the last one in the history of the cell.
   */
  apply(own: IOwnEdit | null = null): JointUndo | null {
    this.release();
    const edited = [...this.edits];
    if (
      !edited.every(([{ sharedModel }, edits]) =>
        edits.every(edit => isCurrent(sharedModel.getSource(), edit))
      )
    ) {
      return null;
    }
    const models = new Set([...(own ? [own.model] : []), ...this.edits.keys()]);
    return new JointUndo([...models], isSeparate => {
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
    });
  }

  /** Stop following the cells. */
  release(): void {
    for (const model of this.edits.keys()) {
      model.sharedModel.changed.disconnect(this._edited);
    }
  }

  private readonly _edited = (
    text: ICellModel['sharedModel'],
    { sourceChange }: { sourceChange?: IStep[] }
  ): void => {
    const model = [...this.edits.keys()].find(({ sharedModel }) => sharedModel === text);
    if (!model || !sourceChange) {
      return;
    }
    const edits = (this.edits.get(model) ?? []).map(edit => moved(edit, sourceChange));
    if (edits.every(edit => edit !== null)) {
      this.edits.set(model, edits);
    } else {
      this.release();
      this._onConflict();
    }
  };
}

/** Undo the user's edit, and make it again as part of the next undo step. */
function repeat({ model: { sharedModel }, before, change: { start, old, name } }: IOwnEdit): void {
  const source = sharedModel.getSource();
  const replace = (replaced: string): void => sharedModel.updateSource(start, start + replaced.length, name);
  let steps = 0;
  while (steps < MOST_STEPS && sharedModel.getSource() !== before && sharedModel.undo()) {
    steps++;
  }
  if (steps > 0 && sharedModel.getSource() === before) {
    replace(old);
    return;
  }
  for (; steps > 0; steps--) {
    sharedModel.redo();
  }
  if (source.startsWith(name, start)) {
    replace(name); // the history needs a change
  }
}

/** Find the cells of edits; null if the text of one of them differs, or may not be changed. */
export function targetOf(
  { content }: NotebookPanel,
  cells: readonly ICellModel[],
  edits: readonly IEdit[],
  onConflict: () => void
): OfferEdits | null {
  const found = new Map<ICellModel, IReplacement[]>();
  for (const edit of edits) {
    const cell = content.widgets.find(({ model }) => model === cells[edit.cell]);
    const replacement = cell?.readOnly === false && replacementOf(cell.model.sharedModel.getSource(), edit);
    if (!cell || !replacement) {
      return null;
    }
    found.set(cell.model, [...(found.get(cell.model) ?? []), replacement]);
  }
  return new OfferEdits(found, onConflict);
}
