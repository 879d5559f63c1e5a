/** After the user has renamed an identifier in a cell, offer to rename its other uses in the notebook. */

import type { CodeCell, ICellModel } from '@jupyterlab/cells';
import { type INotebookModel, NotebookActions } from '@jupyterlab/notebook';
import { positionOf, setCursor } from '../editor';
import { wellFormed } from '../window';
import type { IRenameEdits } from '../wire';
import type { IFollowed } from './edits';
import { changeOf } from './identifiers';
import type { JointUndo } from './jointundo';
import {
  applyTarget,
  ask,
  cellsOf,
  describeChanges,
  executionsOf,
  feedbackFor,
  type IParts,
  isAllowed,
  isMentioned,
  present,
  report
} from './notebook';
import { Offer, scrollTo } from './offer';
import { movedPosition } from './replacements';
import { runCells } from './run';
import { type IOwnEdit, targetOf } from './target';

export class RenameOffers {
  constructor(private readonly _parts: IParts) {
    const { edits } = _parts;
    edits.edited.connect((_, { panel, isOffered }) => {
      if (!isOffered) {
        this._shown.get(panel.context.model)?.dispose();
      }
    });
    edits.refocused.connect((_, followed) => {
      if (!this._shown.has(followed.panel.context.model)) {
        resetBaseline(followed);
      }
    });
  }

  /** An edit of a cell has settled: if it renames something, offer to rename the other uses. Return whether it does. */
  async offer(followed: IFollowed, abort: AbortController): Promise<boolean> {
    const { _parts: parts } = this;
    const { panel, cell, before } = followed;
    const { model } = cell;
    const after = model.sharedModel.getSource();
    const change = changeOf(before, after);
    if (change === 'other') {
      resetBaseline(followed);
    }
    const cells = cellsOf(panel);
    if (typeof change === 'string' || !isMentioned(change.old, cells)) {
      return false;
    }
    const answer = await ask(
      panel,
      cells.indexOf(model),
      { active: cells.indexOf(model), before: wellFormed(before) },
      abort,
      () => isAllowed(parts, 'suggestRenames', panel, cell),
      (request, signal) => parts.client.rename(request, signal)
    );
    // The baseline may have been reset: the cell may have got the focus again during the request.
    return !!answer?.edits.length && this._show(followed, cells, answer, { model, before, after, change });
  }

  /** Return whether the cells can be changed. */
  private _show(
    followed: IFollowed,
    cells: readonly ICellModel[],
    answer: IRenameEdits,
    own: IOwnEdit
  ): boolean {
    const { _parts: parts, _shown: shown } = this;
    const { trans, shortcut } = parts;
    const { panel, cell } = followed;
    const { model } = panel.context;
    const target = targetOf(panel, cells, answer.edits, () => offer.dispose());
    if (!target) {
      return false;
    }
    const offer = new Offer(panel, cell, trans);
    const feedback = feedbackFor(parts, answer.id);
    shown.set(model, offer);
    offer.disposed.connect(() => {
      target.release();
      if (shown.get(model) === offer) {
        shown.delete(model);
      }
    });
    const apply = (): void => {
      const cursor = cell.editor ? positionOf(cell.editor).offset : 0;
      const applied = applyTarget(parts, offer, feedback, target, () => target.apply([cell.model], own));
      if (applied) {
        setCursor(cell.editor, movedPosition(cursor, target.edits.get(cell.model) ?? []), { scroll: false });
        this._report(offer, cells, answer, applied);
        scrollTo(panel, cell, own.change.start); // the shortcut also applies an offer outside of the window
      }
    };
    offer.display({
      question: answer.title,
      changes: describeChanges(trans, panel, target, null),
      collapsed: true,
      actions: [{ label: trans.__('Apply'), caption: trans.__('Rename in all cells'), run: apply }],
      shortcuts: [shortcut()]
    });
    // A longer name is not offered again.
    present(parts, 'suggestRenames', offer, feedback, () => resetBaseline(followed));
    return true;
  }

  /** Report a rename; offer to run the cells that bind the name if the kernel still has the old one, and to undo it. */
  private _report(
    offer: Offer,
    cells: readonly ICellModel[],
    { edits, run }: IRenameEdits,
    applied: JointUndo
  ): void {
    const { _parts: parts } = this;
    const { trans } = parts;
    const { panel } = offer;
    const runs = executionsOf(panel.context.model);
    const models = run.map(index => cells[index]).filter(cell => runs.isChanged(cell));
    const binding = panel.content.widgets.filter(({ model }) => models.includes(model)) as CodeCell[];
    const renamed = trans._n('Renamed %1 use.', 'Renamed %1 uses.', edits.length);
    if (binding.length === 0) {
      report(parts, offer, applied, renamed);
      return;
    }
    this._shown.delete(panel.context.model); // an edit does not answer the question
    NotebookActions.executionScheduled.connect((_, { cell }) => {
      if (models.includes(cell.model)) {
        offer.dispose();
      }
    }, offer);
    const rerun = {
      label: trans.__('Run Cell'),
      caption: trans.__('Run the cell that assigns the name'),
      run: () => void runCells(panel, binding)
    };
    const question = trans.__('The kernel still uses the old name. Run this cell?');
    report(parts, offer, applied, `${renamed} ${question}`, [rerun], binding);
  }

  private readonly _shown = new WeakMap<INotebookModel, Offer>();
}

/** A further change of the name is not the continuation of this one. */
function resetBaseline(followed: IFollowed): void {
  followed.before = followed.cell.model.sharedModel.getSource();
}
