/** Before a cell is run, mark the names in it that the kernel shows not to exist, and offer to correct the first. */

import type { CodeCell, ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { hasOtherCursor } from '../collaboration';
import { element, withCode } from '../elements';
import type { IFinding, IFindings } from '../wire';
import { showMarks } from './findings';
import { applyTarget, executionsOf, feedbackFor, type IParts, isAllowed, requestOf } from './notebook';
import { Offer, scrollTo } from './offer';
import { targetOf } from './target';

/** Milliseconds after which a line that the cursor has left is checked. */
const LEFT = 1000;
/** Milliseconds without an edit after which the whole cell is checked. */
const PAUSED = 2000;

/** Checks the active cell of a notebook. */
export class NotebookCheck {
  constructor(
    private readonly _parts: IParts,
    private readonly _panel: NotebookPanel
  ) {
    const { content, disposed, sessionContext } = _panel;
    content.activeCellChanged.connect(this._follow, this);
    sessionContext.iopubMessage.connect((_, { header }) => {
      if (header.msg_type === 'execute_input') {
        this._reset();
      }
    }, this);
    sessionContext.statusChanged.connect((_, status) => {
      if (status !== 'idle' && status !== 'busy') {
        this._reset(); // the kernel is being restarted, or has ended
      } else if (status === 'idle' && this._isWaiting) {
        this._wait();
      }
    }, this);
    _parts.offers.switched.connect(this._reset, this);
    disposed.connect(() => Signal.clearData(this));
    this._follow();
  }

  /** Follow the active cell, and check the one that the user has edited and left. */
  private readonly _follow = (): void => {
    const { activeCell } = this._panel.content;
    const left = this._cell;
    left?.model.sharedModel.changed.disconnect(this._edited, this);
    left?.model.selections.changed.disconnect(this._moved, this);
    if (this._isEdited) {
      void this._check();
    }
    this._offer?.dispose();
    this._cell = activeCell?.model.type === 'code' ? (activeCell as CodeCell) : null;
    this._line = lineOf(this._cell);
    this._isEdited = false;
    this._cell?.model.sharedModel.changed.connect(this._edited, this);
    this._cell?.model.selections.changed.connect(this._moved, this);
    this._wait();
  };

  private readonly _edited = (_: unknown, { sourceChange }: { sourceChange?: unknown }): void => {
    if (sourceChange) {
      this._abort.abort();
      this._isEdited = true;
      this._wait();
      this._moved();
    }
  };

  private readonly _moved = (): void => {
    // The text and the cursor change together, in either order.
    setTimeout(() => {
      const line = lineOf(this._cell);
      if (line !== this._line && this._isEdited) {
        this._left ??= setTimeout(() => {
          this._left = undefined;
          void this._check(lineOf(this._cell));
        }, LEFT);
      }
      this._line = line;
    });
  };

  /** Check the whole cell after some time without an edit. */
  private _wait(): void {
    this._isWaiting = false;
    clearTimeout(this._paused);
    this._paused = setTimeout(() => void this._check(), PAUSED);
  }

  /** Remove all findings, and check again: the kernel, a setting or an off switch has changed. */
  private readonly _reset = (): void => {
    this._abort.abort();
    this._offer?.dispose();
    this._panel.content.widgets.forEach(({ editor }) => showMarks(editor, [], this._describe));
    this._wait();
  };

  /** Check the cell, except for a line, unless it has run as it is or has another offer. */
  private async _check(line: number | null = null): Promise<void> {
    const { _cell: cell, _panel: panel, _parts: parts } = this;
    const { model } = panel.content;
    if (!cell || !model || !isAllowed(parts, 'suggestFixes', panel, cell)) {
      return;
    }
    const runs = executionsOf(model);
    const hasRun = runs.countOf(cell.model) !== null && !(runs.isChanged(cell.model) ?? this._isEdited);
    const offer = parts.offers.dismissibleIn(panel.content);
    const hasOther = offer?.cell === cell && offer !== this._offer;
    if (hasRun || hasOther || hasOtherCursor(cell.model.sharedModel)) {
      return;
    }
    if (panel.sessionContext.session?.kernel?.status !== 'idle') {
      this._isWaiting = true;
      return;
    }
    this._abort.abort();
    const abort = (this._abort = new AbortController());
    const cells = Array.from(model.cells);
    const active = cells.indexOf(cell.model);
    const common = requestOf(panel, active);
    const asked = common && parts.client.check({ ...common, active, line }, abort.signal);
    const answer = await asked?.catch(() => null); // findings are optional
    if (answer && !abort.signal.aborted && !cell.isDisposed) {
      if (cell === this._cell && line === null) {
        clearTimeout(this._paused);
        this._isEdited = false;
      }
      this._show(cell, cells, answer);
    }
  }

  /** Mark the findings, announce new ones, and offer to correct the first one in the active cell. */
  private _show(cell: CodeCell, cells: readonly ICellModel[], { id, findings }: IFindings): void {
    const shown = findings.filter(({ message }) => !this._dismissed.has(message));
    showMarks(cell.editor, shown, this._describe);
    const first = cell === this._cell ? shown.find(({ fixes }) => fixes.length > 0) : undefined;
    if (first?.message !== this._offered) {
      this._offer?.dispose();
    }
    if (first && !this._offer) {
      this._propose(cell, cells, first, id);
    }
    for (const finding of shown.filter(({ message }) => !this._announced.has(message))) {
      this._announced.add(finding.message);
      this._parts.live.say(this._describe(finding).textContent);
    }
  }

  /** Offer to correct a finding. */
  private _propose(cell: CodeCell, cells: readonly ICellModel[], finding: IFinding, id: string): void {
    const { _panel: panel, _parts: parts } = this;
    const { offers, shortcut, trans } = parts;
    const { message } = finding;
    const [fix] = finding.fixes;
    const target = targetOf(panel, cells, fix.edits, () => this._offer?.dispose(), true);
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
        void this._check();
      }
    };
    const caption = trans.__('Change the code without running it');
    offer.display({
      question: `${message} ${fix.title}`,
      actions: [{ label: trans.__('Apply'), caption, run: apply }],
      shortcuts: [shortcut()]
    });
    [this._offer, this._offered] = [offer, message];
    offer.disposed.connect(() => {
      target.release();
      this._offer = this._offered = undefined;
    });
    offer.dismiss = () => {
      this._dismissed.add(message);
      feedback('dismissed');
      this._reset();
    };
    offers.add(offer, 'suggestFixes', () => isAllowed(parts, 'suggestFixes', panel, cell));
    feedback('shown');
  }

  /** Return the content of a tooltip: the message, and the shortcut if it corrects this finding. */
  private readonly _describe = ({ message, fixes }: IFinding): HTMLElement => {
    const { shortcut, trans } = this._parts;
    const text = [message, ...fixes.map(({ title }) => title)].join(' ');
    const key = message === this._offered ? shortcut() : '';
    const content = element('div', 'jp-Turbopilot-finding-message');
    content.append(...withCode(key ? trans.__('%1 Press %2 to apply.', text, key) : text));
    return content;
  };

  private _cell: CodeCell | null = null;
  /** whether the user has edited the cell since it was last checked as a whole */
  private _isEdited = false;
  /** the line of the cursor */
  private _line: number | null = null;
  private _left: ReturnType<typeof setTimeout> | undefined;
  private _paused: ReturnType<typeof setTimeout> | undefined;
  /** whether a check waits until the kernel is idle */
  private _isWaiting = false;
  private _abort = new AbortController();
  private _offer: Offer | undefined;
  /** the message of the offer */
  private _offered: string | undefined;
  /** messages that have been announced, and those that the user has dismissed */
  private readonly _announced = new Set<string>();
  private readonly _dismissed = new Set<string>();
}

function lineOf(cell: CodeCell | null): number | null {
  return cell?.editor?.getCursorPosition().line ?? null;
}
