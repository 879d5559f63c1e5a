/** After the user has made an edit like an earlier one, offer to repeat it at other occurrences in the notebook. */

import type { CodeCell, ICellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { type IStep, onEdit } from '../collaboration';
import { setCursor } from '../editor';
import { codePoints, wellFormed } from '../window';
import type { IEdit } from '../wire';
import { ChangeOffer, feedbackFor } from './changeoffer';
import type { IEditState } from './editoffers';
import type { IFollowed } from './edits';
import { type ISettledEdit, hasAlikeChanges, MOST_AGE, replacedText } from './history';
import { changedRegion } from './identifiers';
import type { JointUndo } from './jointundo';
import {
  ask,
  cellOf,
  cellsOf,
  describeCell,
  describeChanges,
  type IParts,
  isAllowed,
  isMentioned
} from './notebook';
import { isInView } from './offer';
import { firstLine, type IRange, moved } from './replacements';
import { type OfferEdits, targetOf } from './target';

/** Characters of a cell's first line in a question. */
const FIRST_WORDS = 30;

/** Offer to repeat an edit, if it is like an earlier one or itself, or may correct what the kernel shows to be wrong. */
export async function offerRepeats(
  parts: IParts,
  { panel, cell }: IFollowed,
  edit: ISettledEdit,
  state: IEditState
): Promise<void> {
  const { history, abort } = state;
  const cells = cellsOf(panel);
  const ids = cells.map(({ id }) => id);
  const sources = cells.map(({ sharedModel }) => sharedModel.getSource());
  const alike = history.earlierLike(edit, ids);
  const isLikely =
    !history.isDeclined(edit) &&
    (alike !== null || hasAlikeChanges(edit) || mayBeWrong(replacedText(edit), panel));
  const isWanted = (): boolean => isLikely && isAllowed(parts, 'suggestRepeats', panel, cell);
  const active = ids.indexOf(edit.cell);
  const earlier = alike && {
    cell: ids.indexOf(alike.cell),
    before: wellFormed(alike.before),
    after: wellFormed(alike.after)
  };
  const fields = { active, before: wellFormed(edit.before), earlier };
  const answer = await ask(panel, active, fields, abort, isWanted, (request, signal) =>
    parts.client.repeat(request, signal)
  );
  if (!answer?.edits.length) {
    return;
  }
  state.repeat?.end();
  const current = answer.edits.filter(({ cell }) => cells[cell]?.sharedModel.getSource() === sources[cell]); // the positions refer to the requested text
  const target = targetOf(panel, cells, fromPosition(current, active, edit), () => shown.display(), true);
  if (!target) {
    return;
  }
  const shown = new RepeatOffer(parts, panel, cell, target, answer.id, () => history.decline(edit));
  state.repeat = shown;
  for (const example of alike ? [edit, alike] : [edit]) {
    followExample(example, cells, shown, () => shown.end());
  }
}

/** The offer to change occurrences, which moves from one to the next. */
export class RepeatOffer {
  /** `decline`: this edit is not offered again. */
  constructor(
    private readonly _parts: IParts,
    private readonly _panel: NotebookPanel,
    cell: CodeCell,
    private readonly _target: OfferEdits,
    id: string,
    private readonly _decline: () => void
  ) {
    this.edited = cell.model;
    this._offer = new ChangeOffer(_parts, _panel, cell, feedbackFor(_parts, id));
    _panel.content.model?.cells.changed.connect(this.display, this); // the positions name cells
    this._present();
  }

  /** The cell of the user's edit. */
  readonly edited: ICellModel;

  /** Whether it waits for an answer; otherwise, it has ended or is a report, whose button undoes all. */
  isOpen = true;

  end(): void {
    this._offer.dispose();
  }

  private _present(): void {
    const { _offer: offer } = this;
    offer.disposed.connect(() => {
      if (this._offer === offer) {
        this._stop();
      }
    });
    this.display();
    offer.present('suggestRepeats', this._decline);
    offer.revealBelow();
  }

  /** The occurrences, or the lines around them, have changed. */
  readonly display = (): void => {
    const { _target: target, _offer: offer } = this;
    const { trans, shortcut } = this._parts;
    if (this.isOpen && target.length === 0) {
      this.end();
    }
    if (!this.isOpen) {
      return;
    }
    const actions = [
      {
        label: trans.__('Apply'),
        caption: trans.__('Change the next occurrence, and go there'),
        run: () => this._applyNext()
      },
      {
        label: trans.__('Apply All'),
        caption: trans.__('Change all occurrences'),
        run: () => this._applyAll()
      }
    ];
    offer.display({
      question: this._question(),
      changes: describeChanges(trans, this._panel, target, offer.cell),
      actions: actions.slice(0, target.length),
      shortcuts: [shortcut(), shortcut(true)]
    });
  };

  /** Ask to change the occurrences; name the cell of the next one unless it is visible. */
  private _question(): string {
    const { trans } = this._parts;
    const { next, length } = this._target;
    const cell = cellOf(this._panel, next?.[0]);
    if (!next || !cell || isInView(this._panel, cell, next[1].start)) {
      return trans._n('Change %1 more occurrence?', 'Change %1 more occurrences?', length);
    }
    const { executionCount: count, sharedModel } = cell.model;
    const where = count
      ? trans.__('cell [%1]', count)
      : `“${firstLine(sharedModel.getSource(), FIRST_WORDS)}”`;
    return trans._n(
      'Change %1 more occurrence, in %2?',
      'Change %1 more occurrences, next in %2?',
      length,
      where
    );
  }

  /** Leave alone the cells that may not be changed now; return whether others are left. */
  private _omitLocked(): boolean {
    const { trans, notice } = this._parts;
    const names = this._target.omitLocked().map(model => describeCell(trans, this._panel, model));
    if (names.length > 0) {
      notice.brief(
        trans.__('Not changed, because read-only or edited by another user: %1.', names.join(', '))
      );
      this.display();
    }
    return this._target.length > 0;
  }

  private _applyNext(): void {
    const { _target: target, _offer: offer, _panel: panel, _parts: parts } = this;
    const next = this._omitLocked() ? target.next : null;
    const cell = cellOf(panel, next?.[0]);
    if (!next || !cell) {
      return;
    }
    const [, { start, end, text }] = next;
    setCursor(cell.editor, end, { scroll: false }); // an undo restores this position
    if (!this._apply(() => target.applyNext([this.edited]))) {
      return;
    }
    void moveCursor(panel, cell, start + text.length).then(
      () => {
        this.display();
        this._offer.revealBelow();
      },
      () => undefined
    );
    if (target.length === 0 || !this.isOpen) {
      this.end();
    } else if (cell === offer.cell) {
      this.display();
      parts.live.say(offer.label);
    } else {
      this._offer = new ChangeOffer(parts, panel, cell, offer.feedback);
      offer.dispose();
      this._present();
    }
  }

  private _applyAll(): void {
    const { _target: target, _offer: offer } = this;
    const { trans } = this._parts;
    const applied = this._omitLocked() && this._apply(() => target.apply([this.edited, offer.cell.model]));
    if (applied) {
      this._stop();
      offer.report(applied, trans._n('Changed %1 occurrence.', 'Changed %1 occurrences.', target.length));
    }
  }

  /** Change the cells; withdraw the offer when the user undoes it. */
  private _apply(change: () => JointUndo | null): JointUndo | null {
    const { _offer: offer } = this;
    const applied = offer.apply(this._target, change);
    applied?.stepped.connect((_, { step, changed }) => {
      if (step === 'undo' && !changed && !this._isUndone) {
        this._isUndone = true;
        offer.feedback('undone');
        this._decline();
        if (this.isOpen) {
          this.end();
        }
      }
    });
    return applied;
  }

  /** The offer has ended, or reports what was done. */
  private _stop(): void {
    this.isOpen = false;
    clearTimeout(this._timer);
    Signal.clearData(this);
    this._target.release();
  }

  private readonly _timer = setTimeout(() => this.end(), MOST_AGE);
  private _offer: ChangeOffer;
  private _isUndone = false;
}

/** Return whether the kernel may show that a replaced text was wrong: it occurs elsewhere, and there is a kernel. */
function mayBeWrong(replaced: string | null, panel: NotebookPanel): boolean {
  const isConnected = panel.sessionContext.session?.kernel?.connectionStatus === 'connected';
  return replaced !== null && isConnected && isMentioned(replaced, cellsOf(panel));
}

/** Call `changed` if an edit of its cell changes the inserted text of an edit, until the signals of `owner` are cleared. */
function followExample(
  { cell, before, after }: ISettledEdit,
  cells: readonly ICellModel[],
  owner: object,
  changed: () => void
): void {
  const model = cells.find(({ id }) => id === cell);
  const { start, endAfter } = changedRegion(before, after);
  const [head] = /(?<![\p{L}\p{N}_])[\p{L}\p{N}_]*$/u.exec(after.slice(0, start)) ?? [''];
  const [tail] = /^[\p{L}\p{N}_]*/u.exec(after.slice(endAfter)) ?? [''];
  const end = tail ? endAfter + tail.length : start + after.slice(start, endAfter).trimEnd().length;
  const source = model?.sharedModel.getSource() ?? '';
  const later = changedRegion(after, source);
  const steps = [
    { retain: later.start },
    { insert: source.slice(later.start, later.endAfter) },
    { delete: later.end - later.start }
  ];
  let range = moved<IRange>({ start: start - head.length, end }, steps);
  const edited = (steps: readonly IStep[]): void => {
    range = range && moved(range, steps);
    if (!range) {
      changed();
    }
  };
  if (model && range) {
    onEdit(model, edited, owner);
  }
}

/** Sort edits from the end of the user's edit of a cell to the end of the notebook, then from its beginning. */
function fromPosition(edits: readonly IEdit[], active: number, { before, after }: ISettledEdit): IEdit[] {
  const position = codePoints(after.slice(0, changedRegion(before, after).endAfter));
  const isBelow = ({ cell, start }: IEdit): boolean =>
    cell > active || (cell === active && start >= position);
  return [...edits.filter(isBelow), ...edits.filter(edit => !isBelow(edit))];
}

/** Make a cell active, and set its cursor to a position. */
async function moveCursor({ content }: NotebookPanel, cell: CodeCell, offset: number): Promise<void> {
  const index = content.widgets.indexOf(cell);
  content.activeCellIndex = index;
  await content.scrollToItem(index, 'smart');
  await cell.ready;
  setCursor(cell.editor, offset);
  if (content.mode === 'edit') {
    cell.editor?.focus();
  } else {
    content.activate(); // the active cell does not get the focus otherwise
  }
}
