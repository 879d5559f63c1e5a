/** After the user has renamed an identifier in a cell, offer to rename its other uses in the notebook. */

import type { CodeCell, ICellModel } from '@jupyterlab/cells';
import { NotebookActions } from '@jupyterlab/notebook';
import { positionOf, setCursor } from '../editor';
import { wellFormed } from '../window';
import type { IRenameEdits } from '../wire';
import { ChangeOffer, feedbackFor } from './changeoffer';
import type { IEditState } from './editoffers';
import { type IFollowed, resetBaseline } from './edits';
import type { JointUndo } from './jointundo';
import { ask, cellsOf, describeChanges, executionsOf, type IParts, isAllowed, isMentioned } from './notebook';
import { scrollTo } from './offer';
import { movedPosition } from './replacements';
import { runCells } from './run';
import { type IOwnEdit, targetOf } from './target';

/** Offer to rename the other uses of what an edit has renamed. Return whether there are some, and they can be changed. */
export async function offerRename(
  parts: IParts,
  followed: IFollowed,
  own: IOwnEdit,
  state: IEditState
): Promise<boolean> {
  const { trans, shortcut } = parts;
  const { panel, cell } = followed;
  const { abort } = state;
  const cells = cellsOf(panel);
  const active = cells.indexOf(cell.model);
  const isUsed = isMentioned(own.change.old, cells);
  const isWanted = (): boolean => isUsed && isAllowed(parts, 'suggestRenames', panel, cell);
  const fields = { active, before: wellFormed(own.before) };
  const answer = await ask(panel, active, fields, abort, isWanted, (request, signal) =>
    parts.client.rename(request, signal)
  );
  const target = answer?.edits.length && targetOf(panel, cells, answer.edits, () => offer.dispose());
  if (!target) {
    return false;
  }
  const offer = new ChangeOffer(parts, panel, cell, feedbackFor(parts, answer.id));
  state.rename = offer;
  offer.disposed.connect(() => target.release());
  const apply = (): void => {
    const cursor = cell.editor ? positionOf(cell.editor).offset : 0;
    const applied = offer.apply(target, () => target.apply([cell.model], own));
    if (applied) {
      setCursor(cell.editor, movedPosition(cursor, target.edits.get(cell.model) ?? []), { scroll: false });
      reportRename(parts, offer, cells, answer, applied, state);
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
  offer.present('suggestRenames', () => resetBaseline(followed));
  offer.revealBelow();
  return true;
}

/** Report a rename; offer to run the cells that bind the name if the kernel still has the old one, and to undo it. */
function reportRename(
  { trans }: IParts,
  offer: ChangeOffer,
  cells: readonly ICellModel[],
  { edits, run }: IRenameEdits,
  applied: JointUndo,
  state: IEditState
): void {
  const { panel } = offer;
  const runs = executionsOf(panel.context.model);
  const models = run.map(index => cells[index]).filter(cell => runs.isChanged(cell));
  const binding = panel.content.widgets.filter(({ model }) => models.includes(model)) as CodeCell[];
  const renamed = trans._n('Renamed %1 use.', 'Renamed %1 uses.', edits.length);
  if (binding.length === 0) {
    offer.report(applied, renamed);
    return;
  }
  state.rename = null; // an edit does not answer the question
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
  offer.report(applied, `${renamed} ${question}`, [rerun], binding);
}
