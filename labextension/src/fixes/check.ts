/** Before a cell is run, mark the names in it that the kernel shows not to exist, and offer to correct the first. */

import type { Cell, CodeCell, ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { hasOtherCursor } from '../collaboration';
import { element, withCode } from '../elements';
import type { IFinding, IFindings } from '../wire';
import { ChangeOffer, feedbackFor } from './changeoffer';
import { showMarks } from './findings';
import {
  cellsOf,
  describeCell,
  executionsOf,
  type IParts,
  isAllowed,
  requestOf,
  withTimeout
} from './notebook';
import { type Offer, scrollTo } from './offer';
import { replacementOf } from './replacements';
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
  /** whether the kernel has not answered the last check */
  isUnanswered = false;
  /** the request that has not been answered */
  request: AbortController | undefined;
  /** Display the findings of the latest answer for the present position of the cursor; undefined: there are none. */
  display: (() => void) | undefined;
  /** the messages of its findings, also while their marks are removed until the next check */
  announced = new Set<string>();
  /** the code of findings that the user has dismissed, by their messages */
  readonly dismissed = new Map<string, string>();

  /** Show the findings again whose code is no longer in the cell: it may be typed again. */
  restore(source: string): void {
    this.dismissed.forEach((code, message) => {
      if (!source.includes(code)) {
        this.dismissed.delete(message);
      }
    });
  }

  /** The latest answer no longer applies, nor does the next one. */
  cancel(): void {
    this.request?.abort();
    this.request = this.display = undefined;
    this.isUnanswered = false;
  }
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
    content.node.addEventListener('focusin', () => {
      // Other pages and background tasks may have bound the names meanwhile.
      void this._checkEach((_, { display }) => display !== undefined);
    });
    _parts.completers.rendered.connect(this._moved, this);
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
    this._schedule(false);
  };

  private readonly _edited = (_: unknown, { sourceChange }: { sourceChange?: unknown }): void => {
    if (sourceChange && this._cell) {
      const state = this._stateOf(this._cell);
      state.cancel();
      state.isEdited = true;
      state.restore(this._cell.model.sharedModel.getSource());
      this._ignored = this._parts.offers.newestIn(this._panel.content);
      this._schedule();
      this._moved();
    }
  };

  private readonly _moved = (): void => {
    // The text and the cursor change together, in either order.
    setTimeout(() => {
      const { _cell: cell } = this;
      if (!cell || cell.isDisposed) {
        return;
      }
      const { isDue, isEdited, display } = this._stateOf(cell);
      display?.();
      if (isDue && isEdited && lineOf(cell) !== this._line) {
        this._left.start();
      }
    });
  };

  /** Check the active cell after some time without an edit, and with `isChanged`, those with findings. */
  private _schedule(isChanged = true): void {
    for (const cell of this._panel.content.widgets) {
      const state = this._states.get(cell.model);
      if (state && isChanged) {
        state.isDue ||= state.announced.size > 0;
      }
    }
    if (this._cell && !this._cell.isDisposed) {
      this._stateOf(this._cell).isDue = true;
    }
    this._paused.stop();
    this._paused.start();
  }

  /** Check some of the cells one after the other, first the active one: the kernel answers one question at a time. */
  private async _checkEach(
    isChosen: (cell: CodeCell, state: CellState) => boolean,
    isTyping = false
  ): Promise<void> {
    for (const cell of new Set([this._cell, ...(this._panel.content.widgets as CodeCell[])])) {
      const state = cell && !cell.isDisposed && this._states.get(cell.model);
      if (state && isChosen(cell, state)) {
        await this._check(cell, isTyping && cell === this._cell);
      }
    }
  }

  /**
   * Remove the findings, by default of all cells: the kernel, a setting or a switch has changed. Check the active cell
   * again, and when the kernel is idle, those with findings.
   */
  private _reset(isRemoved: (cell: Cell) => boolean = () => true): void {
    this._panel.content.widgets.filter(isRemoved).forEach(cell => this._remove(cell as CodeCell));
    this._schedule();
  }

  /** Remove the marks and the offer of a cell. */
  private _remove(cell: CodeCell): void {
    if (cell.isDisposed) {
      return;
    }
    this._states.get(cell.model)?.cancel();
    showMarks(cell.editor, '', [], this._describe);
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

  /**
   * Check a cell, and remove the findings that the kernel does not confirm; if it cannot answer now, keep them until the
   * next check. Return whether it has answered; null if an edit or another check has replaced this one. `isTyping`:
   * hold back those in the line of the cursor.
   */
  private async _check(cell: CodeCell, isTyping = false): Promise<boolean | null> {
    const { _panel: panel, _parts: parts } = this;
    const state = this._stateOf(cell);
    const cells = cellsOf(panel);
    const active = cells.indexOf(cell.model);
    const isWanted = active >= 0 && this._isWanted(cell);
    const isPossible = panel.isVisible && panel.sessionContext.session?.kernel?.status === 'idle';
    state.isDue = (isTyping && state.isDue) || (isWanted && !isPossible);
    if (isWanted && !isPossible) {
      return false;
    }
    const common = isWanted ? requestOf(panel, active) : null;
    if (!common) {
      this._remove(cell);
      return false;
    }
    state.request?.abort();
    const request = (state.request = new AbortController());
    const cursor = lineOf(cell);
    const answer = await parts.client
      .check({ ...common, active }, withTimeout(request, panel))
      .catch(() => null); // findings are optional
    if (request.signal.aborted) {
      return null;
    }
    state.request = undefined;
    if (cell === this._cell) {
      this._line = cursor; // otherwise the next edit checks the line again
    }
    if (!answer || !this._isWanted(cell)) {
      this._remove(cell);
      return false;
    }
    if (answer.unanswered) {
      state.isDue = !state.isUnanswered; // once: the kernel becomes idle after each question
      state.isUnanswered = true;
      return false;
    }
    state.isUnanswered = false;
    const source = common.cells[active].source ?? '';
    const display = (): void => this._display(cell, cells, source, answer, isTyping);
    display();
    state.display = answer.findings.length > 0 ? display : undefined;
    return true;
  }

  /** Mark and announce the findings, and offer to correct the first, except for those that are held back. */
  private _display(
    cell: CodeCell,
    cells: readonly ICellModel[],
    source: string,
    answer: IFindings,
    isTyping: boolean
  ): void {
    const { dismissed } = this._stateOf(cell);
    const findings = answer.findings.filter(({ message }) => !dismissed.has(message));
    const held = showMarks(cell.editor, source, findings, this._describe, isTyping);
    const shown = findings.filter(finding => !held.includes(finding));
    if (cell === this._cell) {
      this._offerFirst(cell, cells, answer.id, shown);
    }
    this._announce(cell, shown, !isTyping && held.length === 0);
  }

  /**
   * Offer to correct the first finding that can be corrected, unless the cell has another offer, or another cell has one
   * that the user, who has not edited the cell since, may be about to apply.
   */
  private _offerFirst(
    cell: CodeCell,
    cells: readonly ICellModel[],
    id: string,
    findings: readonly IFinding[]
  ): void {
    const { _panel: panel, _parts: parts } = this;
    const { notice, offers, shortcut, trans } = parts;
    if (!findings.some(this._isOffered)) {
      this._offer?.dispose();
    }
    const first = findings.find(({ fixes }) => fixes.length > 0);
    const other = offers.newestIn(panel.content);
    if (!first || this._offer || (other && (other.cell === cell || other !== this._ignored))) {
      return;
    }
    const { message, fixes } = first;
    const code = Array.from(cell.model.sharedModel.getSource()).slice(first.start, first.end).join('');
    if (other) {
      this._stateOf(cell).announced.delete(message); // the shortcut applies another offer now
    }
    const target = targetOf(panel, cells, fixes[0].edits, () => this._offer?.dispose(), true);
    if (!target) {
      return;
    }
    const offer = new ChangeOffer(parts, panel, cell, feedbackFor(parts, id));
    let isAsked = false;
    const apply = async (): Promise<void> => {
      if (isAsked) {
        return;
      }
      isAsked = true;
      const isAnswered = await this._check(cell);
      isAsked = false;
      if (isAnswered === false) {
        this._remove(cell);
      }
      const start = target.next?.[1].start ?? 0;
      if (offer.isDisposed) {
        notice.brief(trans.__('The kernel does not confirm this problem. Nothing was applied.'));
      } else if (isAnswered && offer.apply(target, () => target.apply([]))) {
        offer.dispose();
        scrollTo(panel, cell, start); // the shortcut also applies an offer outside of the window
        void this._check(cell);
      }
    };
    const caption = trans.__('Change the code without running it');
    offer.display({
      question: `${message} ${fixes[0].title}`,
      actions: [{ label: trans.__('Apply'), caption, run: () => void apply() }],
      shortcuts: [shortcut()]
    });
    this._offer = offer;
    this._isOffered = finding => {
      const [edit] = finding.fixes.flatMap(fix => fix.edits);
      const found = edit && replacementOf(cell.model.sharedModel.getSource(), edit);
      const offered = target.next?.[1];
      return finding.message === message && found?.start === offered?.start && found?.text === offered?.text;
    };
    offer.disposed.connect(() => {
      target.release();
      this._offer = undefined;
      this._isOffered = () => false;
    });
    offer.dismiss = () => {
      this._stateOf(cell).dismissed.set(message, code);
      offer.feedback('dismissed');
      this._remove(cell);
      this._stateOf(cell).isDue = true;
      void this._check(cell); // for the other findings
    };
    offers.add(offer, 'check', () => this._isAllowed(cell));
    offer.revealBelow();
    offer.feedback('shown');
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
      const more = ` ${trans._n('%1 more problem.', '%1 more problems.', others.length)}`;
      live.say(where + this._describe(first).textContent + (others.length > 0 ? more : ''));
    }
  }

  /** Return the content of a tooltip: the message, and the shortcut if it corrects this finding. */
  private readonly _describe = (finding: IFinding): HTMLElement => {
    const { offers, shortcut, trans } = this._parts;
    const text = [finding.message, ...finding.fixes.map(({ title }) => title)].join(' ');
    const isNext = this._isOffered(finding) && offers.newestIn(this._panel.content) === this._offer;
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
  private readonly _left = new Timer(() => {
    const isLeft = (cell: CodeCell): boolean => cell !== this._cell || lineOf(cell) !== this._line;
    void this._checkEach((cell, { isDue }) => isDue && isLeft(cell), true);
  }, LEFT);
  /** checks after some time without an edit */
  private readonly _paused = new Timer(() => void this._checkEach((_, { isDue }) => isDue), PAUSED);
  private _offer: Offer | undefined;
  /** the other offer that there was at the last edit of the active cell */
  private _ignored: Offer | undefined;
  /** Return whether a finding is the one that is offered to be corrected, with the same correction. */
  private _isOffered: (finding: IFinding) => boolean = () => false;
}

function lineOf(cell: CodeCell | null): number | null {
  return cell?.editor?.getCursorPosition().line ?? null;
}
