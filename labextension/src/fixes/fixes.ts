/** After a cell has failed, ask for fixes of its error and offer them above its traceback. */

import type { CodeCell, ICellModel, ICodeCellModel } from '@jupyterlab/cells';
import { type Notebook, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import type { PartialJSONObject } from '@lumino/coreutils';
import { onEdit } from '../collaboration';
import { inOneUndoStep } from '../editor';
import type { IFix, IFixRequest } from '../wire';
import { ChangeOffer, feedbackFor } from './changeoffer';
import { readError } from './errors';
import type { JointUndo } from './jointundo';
import { ask, cellOf, cellsOf, describeChanges, executionsOf, type IParts, isAllowed } from './notebook';
import { type IAction, type Offer, scrollTo } from './offer';
import { runCells } from './run';
import { type OfferEdits, targetOf } from './target';

type IExecuted = NonNullable<Parameters<Parameters<typeof NotebookActions.executed.connect>[0]>[1]>;

/** A fix whose cells are known. */
interface ICandidate {
  title: string;
  target: OfferEdits;
  insert: { before: ICellModel; source: string } | null;
  run: CodeCell[];
}

export class FixOffers {
  constructor(private readonly _parts: IParts) {
    NotebookActions.executionScheduled.connect((_, { notebook, cell }) => {
      this._pending.get(cell.model)?.abort();
      this._shown.get(cell.model)?.dispose();
      this._edited.delete(notebook);
      if (notebook.model) {
        executionsOf(notebook.model).scheduled(cell.model);
      }
    });
    NotebookActions.executed.connect((_, executed) => {
      const { notebook, cell } = executed;
      if (notebook.model && !cell.isDisposed) {
        executionsOf(notebook.model).executed(cell.model);
        void this._executed(executed).catch(() => undefined); // fixes are optional: a failed request is not reported
      }
    });
    _parts.edits.edited.connect((_, { panel, isOffered }) => {
      if (!isOffered) {
        this._edited.add(panel.content);
      }
    });
  }

  private async _executed({ notebook, cell, success, error }: IExecuted): Promise<void> {
    const { model, parent: panel } = notebook;
    const { _parts: parts } = this;
    if (success || !model || cell.model.type !== 'code' || !(panel instanceof NotebookPanel)) {
      return;
    }
    const failed = cell as CodeCell;
    const { errorName: ename, errorValue: evalue, traceback } = error ?? {};
    // A kernel may show an error in its own way, without an error output.
    const read = readError(ename ? { ename, evalue, traceback } : errorOutputOf(failed.model));
    const isWanted = (): boolean =>
      isAllowed(parts, 'suggestFixes', panel, failed) && !executionsOf(model).isChanged(failed.model);
    const cells = cellsOf(panel);
    const index = cells.indexOf(failed.model);
    const abort = new AbortController();
    this._pending.set(failed.model, abort);
    const send = (request: IFixRequest, signal: AbortSignal) => parts.client.fix(request, signal);
    const answer = read && (await ask(panel, index, { failed: index, error: read }, abort, isWanted, send));
    if (!answer || failed.model.outputs.length === 0) {
      return;
    }
    const onConflict = (): void => this._shown.get(failed.model)?.dispose();
    const candidates = answer.fixes
      .map(fix => candidateOf(panel, cells, fix, failed, onConflict))
      .filter(candidate => candidate !== null);
    if (candidates.length > 0) {
      const offer = new ChangeOffer(parts, panel, failed, feedbackFor(parts, answer.id));
      this._show(offer, candidates, read.name);
    }
  }

  private _show(offer: ChangeOffer, candidates: readonly ICandidate[], error: string): void {
    const { trans, shortcut, live } = this._parts;
    const { model } = offer.cell;
    const { outputs } = model;
    outputs.changed.connect(() => {
      if (outputs.length === 0) {
        offer.dispose();
      }
    }, offer);
    offer.disposed.connect(() => {
      candidates.forEach(({ target }) => target.release());
      this._shown.delete(model);
    });
    this._shown.set(model, offer);
    let shown = 0;
    const display = (index: number): void => {
      shown = index;
      const { target, insert, title, run } = candidates[index];
      const apply = (): JointUndo | null =>
        offer.apply(target, () => target.apply(target.edits.size > 0 ? [model] : []));
      const runAll = (): void => {
        offer.dispose();
        void runInOrder(offer.panel, run);
      };
      const applyOnly = (): void => {
        const applied = apply();
        if (applied && insert) {
          offer.dispose();
          insertCell(offer.panel, insert);
        } else if (applied) {
          const question = trans._n(
            'The error is from the old code. Run the cell again?',
            'The error is from the old code. Run %1 cells?',
            run.length
          );
          const caption = trans.__('Run the cells concerned; stop at the first failure');
          const label = trans._n('Run Cell', 'Run Cells', run.length);
          offer.report(applied, question, [{ label, caption, run: runAll }], run);
        }
        if (applied) {
          showChange(offer, target);
        }
      };
      const changes = describeChanges(trans, offer.panel, target, offer.cell);
      if (insert) {
        const hunk = { before: [], after: [[{ text: insert.source, changed: true }]] };
        changes.push({ label: trans.__('New cell above'), hunks: [hunk] });
      }
      const actions: IAction[] = [];
      if (changes.length > 0) {
        actions.push({
          label: trans.__('Apply'),
          caption: trans.__('Change the code without running it'),
          run: applyOnly
        });
      }
      // The user runs an inserted cell, as it may install a package.
      if (!insert) {
        actions.push({
          label: changes.length > 0 ? trans.__('Apply and Run') : trans.__('Run Cells'),
          caption:
            changes.length > 0
              ? trans.__('Change the code and run the cells concerned; stop at the first failure')
              : trans.__('Run the cells listed and the failed cell; stop at the first failure'),
          run: () => {
            if (apply()) {
              runAll();
            }
          }
        });
      }
      if (candidates.length > 1) {
        actions.push({
          label: trans.__('Next (%1 of %2)', index + 1, candidates.length),
          caption: trans.__('Show another fix'),
          run: () => {
            display((index + 1) % candidates.length);
            live.say(offer.label);
          }
        });
      }
      const runs = run.filter(cell => cell !== offer.cell && !target.edits.has(cell.model));
      offer.display({
        error,
        question: title,
        changes,
        runs: insert ? [] : runs,
        actions,
        shortcuts: [shortcut()]
      });
    };
    display(0);
    // The first lines of the cells to run are up to date.
    const isChanged = ({ model }: CodeCell): boolean =>
      candidates.some(({ target }) => target.edits.has(model));
    for (const cell of new Set(candidates.flatMap(({ run }) => run))) {
      if (cell === offer.cell || isChanged(cell)) {
        continue;
      }
      const edited = (): void => {
        if (offer.isReport) {
          offer.dispose();
        } else if (offer.primary) {
          display(shown);
        }
      };
      onEdit(cell.model, edited, offer);
    }
    offer.present('suggestFixes');
    const { content } = offer.panel;
    if (!this._edited.has(content) && content.model && executionsOf(content.model).isLast(model)) {
      void offer.reveal();
    }
  }

  private readonly _pending = new WeakMap<ICellModel, AbortController>();
  private readonly _shown = new WeakMap<ICellModel, Offer>();
  /** notebooks that the user has edited since a cell was run */
  private readonly _edited = new WeakSet<Notebook>();
}

/** Return the last error output of a cell: executors on the server report no error. */
function errorOutputOf({ outputs }: ICodeCellModel): PartialJSONObject {
  const all = Array.from({ length: outputs.length }, (_, index) => outputs.get(index));
  const last = all.filter(({ type }) => type === 'error').at(-1);
  return last?.toJSON() ?? {};
}

/** Find the cells of a fix; null if one of them has changed since the request, or may not be changed. */
function candidateOf(
  panel: NotebookPanel,
  cells: readonly ICellModel[],
  { title, edits, insert, run }: IFix,
  failed: CodeCell,
  onConflict: () => void
): ICandidate | null {
  const indices = run.length > 0 ? run : [cells.indexOf(failed.model)];
  const runs = indices.map(index => cellOf(panel, cells[index]));
  const before = insert && cells[insert.before];
  if (runs.includes(undefined) || (insert && !before)) {
    return null;
  }
  const target = targetOf(panel, cells, edits, onConflict);
  return (
    target && {
      title,
      target,
      insert: insert && before ? { before, source: insert.source } : null,
      run: runs as CodeCell[]
    }
  );
}

function insertCell({ content: { model } }: NotebookPanel, insert: ICandidate['insert']): void {
  if (!insert || !model) {
    return;
  }
  const at = Array.from(model.cells).indexOf(insert.before);
  inOneUndoStep({ model }, () => {
    model.sharedModel.insertCell(Math.max(0, at), { cell_type: 'code', source: insert.source });
  });
}

/** Scroll to the first change unless it is visible: the shortcut also applies an offer outside of the window. */
function showChange({ panel, cell }: Offer, { next }: OfferEdits): void {
  scrollTo(panel, cellOf(panel, next?.[0]) ?? cell, next?.[1].start ?? 0);
}

/** Show and run cells one after the other; stop at the first failure. */
async function runInOrder(panel: NotebookPanel, cells: readonly CodeCell[]): Promise<void> {
  for (const cell of cells) {
    if (cell.isDisposed) {
      return;
    }
    scrollTo(panel, cell);
    if (!(await runCells(panel, [cell]))) {
      return;
    }
  }
}
