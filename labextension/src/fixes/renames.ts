/** After the user has renamed an identifier in a cell, offer to rename its other uses in the notebook. */

import type { Cell, CodeCell, ICellModel } from '@jupyterlab/cells';
import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { followOthers } from '../collaboration';
import { isComposing, positionOf } from '../editor';
import type { Page } from '../page';
import { byteLength, wellFormed } from '../window';
import type { IRenamed } from '../wire';
import { changeOf, type IChangedName, mentions } from './identifiers';
import type { JointUndo } from './jointundo';
import {
  applyTarget,
  describeCell,
  describeChanges,
  executionsOf,
  type IParts,
  isAllowed,
  present,
  requestOf,
  TIMEOUT
} from './notebook';
import { type IAction, Offer } from './offer';
import { movedPosition } from './replacements';
import { type IOwnEdit, targetOf } from './target';

/** Milliseconds without typing after which the cell is compared. */
export const SETTLE = 500;

/** The cell that has the focus, or had it last. */
interface IFollowed {
  panel: NotebookPanel;
  cell: CodeCell;
  /** stop following it */
  leave: () => void;
  /** its source when it got the focus or last settled */
  before: string;
}

export class RenameOffers {
  constructor(
    private readonly _parts: IParts,
    private readonly _page: Pick<Page, 'widget'>
  ) {
    document.addEventListener('focusin', ({ target }) => {
      if (target instanceof Element) {
        this._focused(target);
      }
    });
  }

  /** Follow the cell whose editor has got the focus. */
  private _focused(target: Element): void {
    const { widget: panel } = this._page;
    if (!(panel instanceof NotebookPanel)) {
      return;
    }
    const cell = panel.content.activeCell;
    if (cell?.model.type !== 'code' || !cell.editor?.host.contains(target)) {
      return;
    }
    if (this._followed?.cell === cell) {
      if (!this._offer && this._timer === undefined) {
        this._resetBaseline(this._followed);
      }
      return;
    }
    this._compareWithBaseline(); // without waiting any longer
    this._followed?.leave();
    const { changed } = cell.model.sharedModel;
    changed.connect(this._edited);
    const leave = (): void => void changed.disconnect(this._edited);
    this._followed = { panel, cell: cell as CodeCell, leave, before: cell.model.sharedModel.getSource() };
    if (!this._others.has(cell)) {
      this._others.add(cell);
      followOthers(cell.editor, () => {
        if (this._followed?.cell === cell) {
          this._resetBaseline(this._followed);
        }
      });
    }
  }

  private _resetBaseline(followed: IFollowed): void {
    followed.before = followed.cell.model.sharedModel.getSource();
  }

  private readonly _edited = (_: unknown, change: { sourceChange?: unknown }): void => {
    if (change.sourceChange) {
      this._abort?.abort();
      this._offer?.dispose();
      clearTimeout(this._timer);
      this._timer = setTimeout(() => this._compareWithBaseline(), SETTLE);
    }
  };

  /** The user has stopped typing: compare the cell. */
  private _compareWithBaseline(): void {
    const followed = this._followed;
    const isPending = this._timer !== undefined;
    clearTimeout(this._timer);
    this._timer = undefined;
    if (!followed || !isPending || followed.cell.isDisposed) {
      return;
    }
    const { cell, before } = followed;
    const change = changeOf(before, cell.model.sharedModel.getSource());
    if (change === 'other') {
      this._resetBaseline(followed);
    } else if (typeof change === 'object') {
      if (cell.editor && isComposing(cell.editor)) {
        this._timer = setTimeout(() => this._compareWithBaseline(), SETTLE);
        return;
      }
      void this._ask(followed, change).catch(() => undefined); // fixes are optional: a failed request is not reported
    }
  }

  private async _ask(followed: IFollowed, change: IChangedName): Promise<void> {
    const { _parts: parts } = this;
    const { panel, cell } = followed;
    const cells = Array.from(panel.content.model?.cells ?? []);
    const isUsed = cells.some(
      ({ type, sharedModel }) => type === 'code' && mentions(sharedModel.getSource(), change.old)
    );
    const isOn = (): boolean => isAllowed(parts, 'suggestRenames', panel, cell);
    const active = cells.indexOf(cell.model);
    const before = wellFormed(followed.before);
    const common = isUsed && isOn() ? requestOf(panel, active, byteLength(JSON.stringify(before))) : null;
    if (!common) {
      return;
    }
    const abort = (this._abort = new AbortController());
    const answer = await parts.client.rename(
      { ...common, active, before },
      AbortSignal.any([abort.signal, AbortSignal.timeout(TIMEOUT)])
    );
    if (answer?.edits.length && !abort.signal.aborted && isOn()) {
      this._show(followed, cells, answer, { model: cell.model, before: followed.before, change });
    }
  }

  private _show(followed: IFollowed, cells: readonly ICellModel[], answer: IRenamed, own: IOwnEdit): void {
    const { trans, shortcut } = this._parts;
    const { panel, cell } = followed;
    const offer = new Offer(panel, cell, trans);
    const target = targetOf(panel, cells, answer.edits, () => offer.dispose());
    if (!target) {
      offer.dispose();
      return;
    }
    this._offer = offer;
    offer.disposed.connect(() => {
      target.release();
      this._offer = this._offer === offer ? null : this._offer;
    });
    const apply = (): void => {
      this._offer = null; // the edits in its own cell do not remove it
      const { editor } = cell;
      const cursor = editor && positionOf(editor).offset;
      const applied = applyTarget(this._parts, offer, answer.id, target, own);
      if (applied) {
        const moved = cursor !== null && movedPosition(cursor, target.edits.get(cell.model) ?? []);
        const position = moved !== false && editor?.getPositionAt(moved);
        if (position) {
          editor?.setCursorPosition(position, { scroll: false });
        }
        this._settle();
        this._offer = offer;
        applied.stepped.connect((_, { changed }) => {
          if (!changed) {
            this._settle();
            offer.dispose();
          }
        });
        this._report(offer, cells, answer, applied);
      }
    };
    offer.display({
      error: '',
      question: answer.title,
      changes: describeChanges(trans, panel, target, null),
      runs: [],
      collapsed: true,
      actions: [{ label: trans.__('Apply'), caption: trans.__('Rename in all cells'), run: apply }],
      shortcut: shortcut()
    });
    // A longer name is not offered again.
    present(this._parts, 'suggestRenames', offer, answer.id, () => this._resetBaseline(followed));
  }

  /** The followed cell was changed by a rename, not by the user. */
  private _settle(): void {
    clearTimeout(this._timer);
    this._timer = undefined;
    if (this._followed) {
      this._resetBaseline(this._followed);
    }
  }

  /** Report a rename; offer to run the cells that bind the name if the kernel still has the old one, and to undo it. */
  private _report(
    offer: Offer,
    cells: readonly ICellModel[],
    { edits, run }: IRenamed,
    applied: JointUndo
  ): void {
    const { trans, live, notice } = this._parts;
    const { panel } = offer;
    const { content, sessionContext } = panel;
    const runs = content.model && executionsOf(content.model);
    const models = run.map(index => cells[index]).filter(cell => runs?.isChanged(cell));
    const binding = content.widgets.filter(({ model }) => models.includes(model));
    const actions: IAction[] = [
      {
        label: trans.__('Undo'),
        caption: trans.__('Undo the rename in all cells'),
        run: () => {
          const changed = applied.undo();
          if (changed) {
            notice.brief(
              trans.__('%1 has changed since. Nothing was undone.', describeCell(trans, panel, changed))
            );
          }
        }
      }
    ];
    let question = trans._n('Renamed %1 use.', 'Renamed %1 uses.', edits.length);
    if (binding.length > 0) {
      const scheduled = (_: unknown, { cell }: { cell: Cell }): void => {
        if (models.includes(cell.model)) {
          offer.dispose();
        }
      };
      NotebookActions.executionScheduled.connect(scheduled);
      offer.disposed.connect(() => NotebookActions.executionScheduled.disconnect(scheduled));
      const ask = trans.__('The kernel still has the old name. Run the cell that binds the new one?');
      question = `${question} ${ask}`;
      actions.unshift({
        label: trans.__('Run Cell'),
        caption: trans.__('Run the cell that binds the name'),
        run: () => void NotebookActions.runCells(content, binding, sessionContext)
      });
    } else {
      offer.disposeLater();
    }
    offer.dismiss = () => offer.dispose();
    const others = (binding as CodeCell[]).filter(cell => cell !== offer.cell);
    offer.display({
      error: '',
      question,
      changes: [],
      runs: others,
      collapsed: false,
      actions,
      shortcut: null
    });
    live.say(question);
  }

  private _followed: IFollowed | null = null;
  private _offer: Offer | null = null;
  private _abort: AbortController | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private readonly _others = new WeakSet();
}
