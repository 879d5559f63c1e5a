/** Before a cell is run, mark the names in it that the kernel shows not to exist, and offer to correct the first. */

import type { Cell, CodeCell, ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { hasOtherCursor } from '../collaboration';
import { element, withCode } from '../elements';
import type { IFinding, IFindings } from '../wire';
import { showMarks } from './findings';
import {
  applyTarget,
  describeCell,
  executionsOf,
  feedbackFor,
  type IParts,
  isAllowed,
  requestOf,
  withTimeout
} from './notebook';
import { Offer, scrollTo } from './offer';
import { targetOf } from './target';

/** Milliseconds after which a line or a cell that the cursor has left is checked. */
const LEFT = 1000;
/** Milliseconds without an edit after which the whole cell is checked. */
const PAUSED = 2000;

/** The state of a cell. */
class CellState {
  /** whether the user has edited it */
  isEdited = false;
  /** whether it has to be checked as a whole */
  isDue = false;
  /** of the latest request */
  abort = new AbortController();
  /** the messages of its findings, also while their marks are removed until the next check */
  announced = new Set<string>();
  /** messages that the user has dismissed */
  dismissed = new Set<string>();
}

/** A timer for an action. */
class Timer {
  constructor(
    private readonly _action: () => void,
    private readonly _delay: number
  ) {}

  /** Start the timer, unless it runs. */
  start(): void {
    this._id ??= setTimeout(() => {
      this._id = undefined;
      this._action();
    }, this._delay);
  }

  stop(): void {
    clearTimeout(this._id);
    this._id = undefined;
  }

  private _id: ReturnType<typeof setTimeout> | undefined;
}

/** Checks the cells of a notebook that the user edits. */
export class NotebookCheck {
  constructor(
    private readonly _parts: IParts,
    private readonly _panel: NotebookPanel
  ) {
    const { content, disposed, sessionContext } = _panel;
    content.activeCellChanged.connect(this._follow, this);
    if (content.model) {
      executionsOf(content.model).started.connect(() => this._reset(), this);
    }
    sessionContext.iopubMessage.connect((_, { header }) => {
      if (header.msg_type === 'execute_input') {
        this._reset(() => false); // it may be the code of an extension, such as a variable inspector
      }
    }, this);
    sessionContext.statusChanged.connect((_, status) => {
      if (status === 'idle') {
        this._paused.start(); // cells may have been waiting for this
      } else if (status !== 'busy') {
        this._reset(); // the kernel is being restarted, or has ended
      }
    }, this);
    _parts.offers.switched.connect(() => this._reset(cell => !this._isAllowed(cell)), this);
    disposed.connect(() => {
      Signal.clearData(this);
      this._paused.stop();
      this._left.stop();
    });
    this._follow();
  }

  /** Follow the active cell, and check the one that the user has edited and left. */
  private readonly _follow = (): void => {
    const { activeCell } = this._panel.content;
    if (this._cell && !this._cell.isDisposed) {
      const { model } = this._cell;
      model.sharedModel.changed.disconnect(this._edited, this);
      model.selections.changed.disconnect(this._moved, this);
      const state = this._stateOf(this._cell);
      state.isDue &&= state.isEdited;
    }
    this._offer?.dispose();
    this._cell = activeCell?.model.type === 'code' ? (activeCell as CodeCell) : null;
    this._line = lineOf(this._cell);
    this._cell?.model.sharedModel.changed.connect(this._edited, this);
    this._cell?.model.selections.changed.connect(this._moved, this);
    this._left.stop();
    this._left.start(); // by then, the kernel is busy if the user has left a cell to run it
    this._schedule();
  };

  private readonly _edited = (_: unknown, { sourceChange }: { sourceChange?: unknown }): void => {
    if (sourceChange && this._cell) {
      const state = this._stateOf(this._cell);
      state.abort.abort();
      state.isEdited = true;
      this._ignored = this._parts.offers.newestIn(this._panel.content);
      this._schedule();
      this._moved();
    }
  };

  private readonly _moved = (): void => {
    // The text and the cursor change together, in either order.
    setTimeout(() => {
      const { _cell: cell } = this;
      const isDue = cell && !cell.isDisposed && this._stateOf(cell).isDue;
      if (isDue && this._stateOf(cell).isEdited && lineOf(cell) !== this._line) {
        this._left.start();
      }
    });
  };

  /** Check the active cell and the others that are due after some time without an edit. */
  private _schedule(): void {
    if (this._cell && !this._cell.isDisposed) {
      this._stateOf(this._cell).isDue = true;
    }
    this._paused.stop();
    this._paused.start();
  }

  /** Check the cells that are due. Unless `isWhole`, leave out the cursor's line, and skip its cell until it has left the line. */
  private _checkDue(isWhole: boolean): void {
    for (const cell of this._panel.content.widgets) {
      const line = isWhole || cell !== this._cell ? null : lineOf(this._cell);
      if (this._states.get(cell.model)?.isDue && (line === null || line !== this._line)) {
        void this._check(cell as CodeCell, line);
      }
    }
  }

  /**
   * Remove the findings, by default of all cells: the kernel, a setting or a switch has changed. Check the active cell
   * again, and when the kernel is idle, those with findings.
   */
  private _reset(isRemoved: (cell: Cell) => boolean = () => true): void {
    for (const cell of this._panel.content.widgets) {
      const state = this._states.get(cell.model);
      if (state) {
        state.isDue ||= state.announced.size > 0;
        if (isRemoved(cell)) {
          this._remove(cell as CodeCell);
        }
      }
    }
    this._schedule();
  }

  /** Remove the marks and the offer of a cell. */
  private _remove(cell: CodeCell): void {
    this._stateOf(cell).abort.abort();
    showMarks(cell.editor, '', []);
    if (cell === this._cell) {
      this._offer?.dispose();
    }
  }

  private _isAllowed(cell: Cell): boolean {
    return isAllowed(this._parts, 'suggestFixes', this._panel, cell as CodeCell);
  }

  /** Return whether a cell may be checked, and has not run as it is. */
  private _isWanted(cell: CodeCell): boolean {
    const { model } = this._panel.content;
    if (!model || !this._isAllowed(cell) || hasOtherCursor(cell.model.sharedModel)) {
      return false;
    }
    const runs = executionsOf(model);
    return runs.countOf(cell.model) === null || (runs.isChanged(cell.model) ?? this._stateOf(cell).isEdited);
  }

  /** Check a cell, except for a line. */
  private async _check(cell: CodeCell, line: number | null = null): Promise<void> {
    const { _panel: panel, _parts: parts } = this;
    const state = this._stateOf(cell);
    const cells = Array.from(panel.content.model?.cells ?? []);
    const active = cells.indexOf(cell.model);
    const isWanted = active >= 0 && this._isWanted(cell);
    const isPossible = panel.isVisible && panel.sessionContext.session?.kernel?.status === 'idle';
    if (isWanted && !isPossible) {
      return; // it stays due
    }
    state.isDue &&= line !== null;
    const common = isWanted ? requestOf(panel, active) : null;
    if (!common) {
      this._remove(cell);
      return;
    }
    state.abort.abort();
    const abort = (state.abort = new AbortController());
    const cursor = lineOf(cell);
    try {
      const answer = await parts.client.check({ ...common, active, line }, withTimeout(abort));
      if (answer && !abort.signal.aborted && this._isWanted(cell)) {
        const findings = answer.findings.filter(({ message }) => !state.dismissed.has(message));
        const marks = findings.map(finding => ({ ...finding, describe: () => this._describe(finding) }));
        showMarks(cell.editor, common.cells[active].source ?? '', marks);
        if (cell === this._cell) {
          this._offerFirst(cell, cells, { ...answer, findings });
        }
        this._announce(cell, findings, line === null);
      }
    } catch {
      // findings are optional
    }
    if (cell === this._cell && !abort.signal.aborted) {
      this._line = cursor; // otherwise the next edit checks the line again
    }
  }

  /**
   * Offer to correct the first finding that can be corrected, unless the cell has another offer, or another cell has one
   * that the user, who has not edited the cell since, may be about to apply.
   */
  private _offerFirst(cell: CodeCell, cells: readonly ICellModel[], { id, findings }: IFindings): void {
    const { _panel: panel, _parts: parts } = this;
    const { offers, shortcut, trans } = parts;
    const first = findings.find(({ fixes }) => fixes.length > 0);
    if (first?.message !== this._offered) {
      this._offer?.dispose();
    }
    const other = offers.newestIn(panel.content);
    if (!first || this._offer || (other && (other.cell === cell || other !== this._ignored))) {
      return;
    }
    const { message, fixes } = first;
    if (other) {
      this._stateOf(cell).announced.delete(message); // the shortcut applies another offer now
    }
    const target = targetOf(panel, cells, fixes[0].edits, () => this._offer?.dispose(), true);
    if (!target) {
      return;
    }
    const offer = new Offer(panel, cell, trans);
    const feedback = feedbackFor(parts, id);
    const apply = (): void => {
      const start = target.next?.[1].start ?? 0;
      if (applyTarget(parts, offer, feedback, target, () => target.apply([]))) {
        offer.dispose();
        scrollTo(panel, cell, start); // the shortcut also applies an offer outside of the window
        void this._check(cell);
      }
    };
    const caption = trans.__('Change the code without running it');
    offer.display({
      question: `${message} ${fixes[0].title}`,
      actions: [{ label: trans.__('Apply'), caption, run: apply }],
      shortcuts: [shortcut()]
    });
    [this._offer, this._offered] = [offer, message];
    offer.disposed.connect(() => {
      target.release();
      this._offer = this._offered = undefined;
    });
    offer.dismiss = () => {
      this._stateOf(cell).dismissed.add(message);
      feedback('dismissed');
      this._remove(cell);
      this._stateOf(cell).isDue = true;
      void this._check(cell); // for the other findings
    };
    offers.add(offer, 'check', () => this._isAllowed(cell));
    feedback('shown');
  }

  /** Announce the first new finding, and the number of the others; `isWhole`: no finding is missing. */
  private _announce(cell: CodeCell, findings: readonly IFinding[], isWhole: boolean): void {
    const { live, trans } = this._parts;
    const state = this._stateOf(cell);
    const [first, ...others] = findings.filter(({ message }) => !state.announced.has(message));
    const messages = findings.map(({ message }) => message);
    state.announced = new Set(isWhole ? messages : [...state.announced, ...messages]);
    if (first) {
      const where = cell === this._cell ? '' : `${describeCell(trans, this._panel, cell.model)}: `;
      const more = ` ${trans._n('%1 more finding.', '%1 more findings.', others.length)}`;
      live.say(where + this._describe(first).textContent + (others.length > 0 ? more : ''));
    }
  }

  /** Return the content of a tooltip: the message, and the shortcut if it corrects this finding. */
  private readonly _describe = ({ message, fixes }: IFinding): HTMLElement => {
    const { offers, shortcut, trans } = this._parts;
    const text = [message, ...fixes.map(({ title }) => title)].join(' ');
    const isNext = message === this._offered && offers.newestIn(this._panel.content) === this._offer;
    const key = isNext ? shortcut() : '';
    const content = element('div', 'jp-Turbopilot-finding-message');
    content.append(...withCode(key ? trans.__('%1 Press %2 to apply.', text, key) : text));
    return content;
  };

  private _stateOf({ model }: CodeCell): CellState {
    const state = this._states.get(model) ?? new CellState();
    this._states.set(model, state);
    return state;
  }

  private readonly _states = new WeakMap<ICellModel, CellState>();
  private _cell: CodeCell | null = null;
  /** the line of the cursor at the last check */
  private _line: number | null = null;
  /** checks after the cursor has left that line or a cell */
  private readonly _left = new Timer(() => this._checkDue(false), LEFT);
  /** checks after some time without an edit */
  private readonly _paused = new Timer(() => this._checkDue(true), PAUSED);
  private _offer: Offer | undefined;
  /** the other offer that there was at the last edit of the active cell */
  private _ignored: Offer | undefined;
  /** the message of the offer */
  private _offered: string | undefined;
}

function lineOf(cell: CodeCell | null): number | null {
  return cell?.editor?.getCursorPosition().line ?? null;
}
