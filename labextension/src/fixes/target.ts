/** The cells that an offer changes, while the user and others edit them. */

import type { ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { inOneUndoStep } from '../editor';
import type { IStep } from '../retention';
import type { IEdit } from '../wire';
import { type IReplacement, isCurrent, moved, replacementOf } from './replacements';

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

  /** Make the changes, as one undo step in each cell; return false, without any change, if a text differs. */
  apply(): boolean {
    this.release();
    const edited = [...this.edits];
    if (
      !edited.every(([{ sharedModel }, edits]) =>
        edits.every(edit => isCurrent(sharedModel.getSource(), edit))
      )
    ) {
      return false;
    }
    for (const [model, edits] of edited) {
      const { sharedModel } = model;
      inOneUndoStep({ model }, () =>
        sharedModel.transact(() => {
          for (const { start, end, text } of [...edits].sort((one, other) => other.start - one.start)) {
            sharedModel.updateSource(start, end, text);
          }
        })
      );
    }
    return true;
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
