/** After the user has renamed an identifier in a cell, offer to rename its other uses in the notebook. */

import type { CodeCell, ICellModel } from '@jupyterlab/cells';
import { type INotebookModel, NotebookActions } from '@jupyterlab/notebook';
import { positionOf } from '../editor';
import { byteLength, wellFormed } from '../window';
import type { IRenameEdits } from '../wire';
import type { IFollowed } from './edits';
import { changeOf, type IChangedName, mentions } from './identifiers';
import type { JointUndo } from './jointundo';
import {
  applyTarget,
  describeChanges,
  executionsOf,
  feedbackFor,
  type IParts,
  isAllowed,
  present,
  report,
  requestOf,
  withTimeout
} from './notebook';
import { type IAction, Offer, scrollTo } from './offer';
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
    const change = changeOf(followed.before, followed.cell.model.sharedModel.getSource());
    if (change === 'other') {
      resetBaseline(followed);
    }
    return typeof change === 'object' && this._ask(followed, change, abort);
  }

  private async _ask(followed: IFollowed, change: IChangedName, abort: AbortController): Promise<boolean> {
    const { _parts: parts } = this;
    const { panel, cell } = followed;
    const cells = Array.from(panel.content.model?.cells ?? []);
    const isUsed = cells.some(
      ({ type, sharedModel }) => type === 'code' && mentions(sharedModel.getSource(), change.old)
    );
    const isOn = (): boolean => isAllowed(parts, 'suggestRenames', panel, cell);
    const active = cells.indexOf(cell.model);
    // Copy the baseline: it is reset if the cell gets the focus again during the request.
    const own = {
      model: cell.model,
      before: followed.before,
      after: cell.model.sharedModel.getSource(),
      change
    };
    const before = wellFormed(own.before);
    const common = isUsed && isOn() ? requestOf(panel, active, byteLength(JSON.stringify(before))) : null;
    if (!common) {
      return false;
    }
    const answer = await parts.client.rename({ ...common, active, before }, withTimeout(abort, panel));
    const isFound = answer?.edits.length && !abort.signal.aborted && isOn();
    return !!isFound && this._show(followed, cells, answer, own);
  }

  /** Return whether the cells can be changed. */
  private _show(
    followed: IFollowed,
    cells: readonly ICellModel[],
    answer: IRenameEdits,
    own: IOwnEdit
  ): boolean {
    const { trans, shortcut } = this._parts;
    const { panel, cell } = followed;
    const offer = new Offer(panel, cell, trans);
    const target = targetOf(panel, cells, answer.edits, () => offer.dispose());
    if (!target) {
      offer.dispose();
      return false;
    }
    const { model } = panel.context;
    this._shown.set(model, offer);
    const feedback = feedbackFor(this._parts, answer.id);
    offer.disposed.connect(() => {
      target.release();
      if (this._shown.get(model) === offer) {
        this._shown.delete(model);
      }
    });
    const apply = (): void => {
      const { editor } = cell;
      const cursor = editor && positionOf(editor).offset;
      const applied = applyTarget(this._parts, offer, feedback, target, () =>
        target.apply([cell.model], own)
      );
      if (applied) {
        const moved = cursor !== null && movedPosition(cursor, target.edits.get(cell.model) ?? []);
        const position = moved !== false && editor?.getPositionAt(moved);
        if (position) {
          editor?.setCursorPosition(position, { scroll: false });
        }
        applied.stepped.connect((_, { changed }) => {
          if (!changed) {
            this._parts.edits.reset();
          }
        });
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
    present(this._parts, 'suggestRenames', offer, feedback, () => resetBaseline(followed));
    return true;
  }

  /** Report a rename; offer to run the cells that bind the name if the kernel still has the old one, and to undo it. */
  private _report(
    offer: Offer,
    cells: readonly ICellModel[],
    { edits, run }: IRenameEdits,
    applied: JointUndo
  ): void {
    const { trans } = this._parts;
    const { panel } = offer;
    const { content } = panel;
    const runs = content.model && executionsOf(content.model);
    const models = run.map(index => cells[index]).filter(cell => runs?.isChanged(cell));
    const binding = content.widgets.filter(({ model }) => models.includes(model));
    const actions: IAction[] = [];
    let question = trans._n('Renamed %1 use.', 'Renamed %1 uses.', edits.length);
    if (binding.length > 0) {
      this._shown.delete(panel.context.model); // an edit does not answer the question
      NotebookActions.executionScheduled.connect((_, { cell }) => {
        if (models.includes(cell.model)) {
          offer.dispose();
        }
      }, offer);
      const ask = trans.__('The kernel still uses the old name. Run this cell?');
      question = `${question} ${ask}`;
      actions.push({
        label: trans.__('Run Cell'),
        caption: trans.__('Run the cell that assigns the name'),
        run: () => void runCells(panel, binding)
      });
    }
    const others = (binding as CodeCell[]).filter(cell => cell !== offer.cell);
    report(this._parts, offer, applied, question, actions, others);
  }

  private readonly _shown = new WeakMap<INotebookModel, Offer>();
}

/** A further change of the name is not the continuation of this one. */
function resetBaseline(followed: IFollowed): void {
  followed.before = followed.cell.model.sharedModel.getSource();
}
