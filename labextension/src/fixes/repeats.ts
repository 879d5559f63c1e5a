/** After the user has made an edit like an earlier one, offer to repeat it at other occurrences in the notebook. */

import type { CodeCell, ICellModel } from '@jupyterlab/cells';
import type { INotebookModel, NotebookPanel } from '@jupyterlab/notebook';
import type { IStep } from '../collaboration';
import { byteLength, codePoints, wellFormed } from '../window';
import type { IEdit, IRepeatEdits } from '../wire';
import type { IFollowed } from './edits';
import { History, type ISettledEdit, hasAlikeChanges, MOST_AGE, replacedText } from './history';
import { changedRegion, mentions } from './identifiers';
import type { JointUndo } from './jointundo';
import {
  applyTarget,
  describeCell,
  describeChanges,
  type Feedback,
  feedbackFor,
  type IParts,
  isAllowed,
  present,
  report,
  requestOf,
  withTimeout
} from './notebook';
import { isInView, Offer } from './offer';
import type { RenameOffers } from './renames';
import { firstLine, type IRange, moved } from './replacements';
import { type OfferEdits, targetOf } from './target';

/** Characters of a cell's first line in a question. */
const FIRST_WORDS = 30;

/** The edits of a notebook, the request after the last one, and the offer to repeat one of them. */
interface IState {
  history: History;
  abort: AbortController;
  shown: RepeatOffer | null;
}

export class RepeatOffers {
  constructor(
    private readonly _parts: IParts,
    private readonly _renames: Pick<RenameOffers, 'offer'>
  ) {
    const { edits } = _parts;
    edits.edited.connect((_, { panel }) => this._stateOf(panel).abort.abort());
    edits.undone.connect((_, { panel, cell }) => {
      const { history, shown } = this._stateOf(panel);
      history.forget(cell.model.id);
      if (shown?.edited === cell.model && shown.isOpen) {
        shown.end();
      }
    });
    edits.settled.connect((_, followed) => {
      void this._settled(followed).catch(() => undefined); // offers are optional: a failed request is not reported
    });
  }

  private async _settled(followed: IFollowed): Promise<void> {
    const { panel, cell, settled: before } = followed;
    const state = this._stateOf(panel);
    const { history, shown } = state;
    shown?.display();
    const after = cell.model.sharedModel.getSource();
    followed.settled = after;
    const edit = isAllowed(this._parts, 'suggestRepeats', panel, cell)
      ? history.add(cell.model.id, before, after, Date.now())
      : null;
    const abort = (state.abort = new AbortController());
    if (!(await this._renames.offer(followed, abort)) && edit && !abort.signal.aborted) {
      await this._ask(panel, cell, edit, abort);
    }
  }

  private async _ask(
    panel: NotebookPanel,
    cell: CodeCell,
    edit: ISettledEdit,
    abort: AbortController
  ): Promise<void> {
    const { _parts: parts } = this;
    const state = this._stateOf(panel);
    const { history } = state;
    const cells = Array.from(panel.content.model?.cells ?? []);
    const ids = cells.map(({ id }) => id);
    const sources = cells.map(({ sharedModel }) => sharedModel.getSource());
    const alike = history.earlierLike(edit, ids);
    const isWanted = alike !== null || hasAlikeChanges(edit) || mayBeWrong(panel, cells, replacedText(edit));
    const earlier = alike && {
      cell: ids.indexOf(alike.cell),
      before: wellFormed(alike.before),
      after: wellFormed(alike.after)
    };
    const own = { active: ids.indexOf(edit.cell), before: wellFormed(edit.before), earlier };
    const common =
      isWanted && !history.isDeclined(edit)
        ? requestOf(panel, own.active, byteLength(JSON.stringify(own)))
        : null;
    const answer = common && (await parts.client.repeat({ ...common, ...own }, withTimeout(abort, panel)));
    if (!answer?.edits.length || abort.signal.aborted || !isAllowed(parts, 'suggestRepeats', panel, cell)) {
      return;
    }
    const { endAfter } = changedRegion(edit.before, edit.after);
    const position = codePoints(edit.after.slice(0, endAfter));
    const current = answer.edits.filter(({ cell }) => cells[cell]?.sharedModel.getSource() === sources[cell]); // the positions refer to the requested text
    const edits = fromPosition(current, own.active, position);
    state.shown?.end();
    const examples = [edit, ...(alike ? [alike] : [])]
      .map(example => exampleOf(example, cells))
      .filter(example => example !== null);
    state.shown = new RepeatOffer(parts, panel, cell, cells, { ...answer, edits }, examples, () =>
      history.decline(edit)
    );
  }

  private _stateOf({ context: { model } }: NotebookPanel): IState {
    const state = this._states.get(model) ?? {
      history: new History(),
      abort: new AbortController(),
      shown: null
    };
    this._states.set(model, state);
    return state;
  }

  private readonly _states = new WeakMap<INotebookModel, IState>();
}

/** Text that an edit to repeat has inserted, with the rest of its words. */
interface IExample {
  model: ICellModel;
  range: IRange;
}

/** The occurrences at which an edit may be repeated, and the offer, which moves from one to the next. */
class RepeatOffer {
  /** `decline`: this edit is not offered again. */
  constructor(
    private readonly _parts: IParts,
    private readonly _panel: NotebookPanel,
    cell: CodeCell,
    cells: readonly ICellModel[],
    { id, edits }: IRepeatEdits,
    private readonly _examples: readonly IExample[],
    private readonly _decline: () => void
  ) {
    this.edited = cell.model;
    this._feedback = feedbackFor(_parts, id);
    this._target = targetOf(_panel, cells, edits, this.display, true);
    if (this._target) {
      _panel.content.model?.cells.changed.connect(this.display); // the positions name cells
      this._timer = setTimeout(() => this.end(), MOST_AGE);
      _examples.forEach(({ model }) => model.sharedModel.changed.connect(this._exampleEdited));
      this._show(cell);
    }
  }

  /** The cell of the user's edit. */
  readonly edited: ICellModel;

  /** Whether it waits for an answer; otherwise, it has ended or is a report, whose button undoes all. */
  get isOpen(): boolean {
    return this._target !== null;
  }

  end(): void {
    this._stop();
    this._offer?.dispose();
  }

  /** Show the offer in a cell. */
  private _show(cell: CodeCell): void {
    const previous = this._offer;
    const offer = (this._offer = new Offer(this._panel, cell, this._parts.trans));
    previous?.dispose();
    offer.disposed.connect(() => {
      if (this._offer === offer) {
        this._stop();
      }
    });
    this.display();
    present(this._parts, 'suggestRepeats', offer, this._feedback, this._decline);
  }

  /** The occurrences, or the lines around them, have changed. */
  readonly display = (): void => {
    const { _target: target, _offer: offer, _parts: parts, _panel: panel } = this;
    const { trans, shortcut } = parts;
    if (!target || !offer) {
      return;
    }
    if (target.length === 0) {
      this.end();
      return;
    }
    const actions = [
      {
        label: trans.__('Apply'),
        caption: trans.__('Change the next occurrence, and go there'),
        run: () => this._applyNext(target, offer)
      },
      {
        label: trans.__('Apply All'),
        caption: trans.__('Change all occurrences'),
        run: () => this._applyAll(target, offer)
      }
    ].slice(0, target.length);
    offer.display({
      question: this._question(target),
      changes: describeChanges(trans, panel, target, offer.cell),
      actions,
      shortcuts: [shortcut(), shortcut(true)]
    });
  };

  /** Ask to change the occurrences; name the cell of the next one unless it is visible. */
  private _question({ next, length }: OfferEdits): string {
    const { trans } = this._parts;
    const cell = this._cellOf(next?.[0]);
    if (!next || !cell || isInView(this._panel, cell, next[1].start)) {
      return trans._n('Change %1 more occurrence?', 'Change %1 more occurrences?', length);
    }
    const count = cell.model.executionCount;
    const where = count
      ? trans.__('cell [%1]', count)
      : `“${firstLine(cell.model.sharedModel.getSource(), FIRST_WORDS)}”`;
    return trans._n(
      'Change %1 more occurrence, in %2?',
      'Change %1 more occurrences, next in %2?',
      length,
      where
    );
  }

  /** Leave alone the cells that may not be changed now; return whether others are left. */
  private _omitLocked(target: OfferEdits): boolean {
    const { trans, notice } = this._parts;
    const names = target.omitLocked().map(model => describeCell(trans, this._panel, model));
    if (names.length > 0) {
      notice.brief(
        trans.__('Not changed, because read-only or edited by another user: %1.', names.join(', '))
      );
      this.display();
    }
    return target.length > 0;
  }

  private _applyNext(target: OfferEdits, offer: Offer): void {
    const next = this._omitLocked(target) ? target.next : null;
    const cell = this._cellOf(next?.[0]);
    if (!next || !cell) {
      return;
    }
    const [, { start, end, text }] = next;
    setCursor(cell, end, { scroll: false }); // an undo restores this position
    const applied = applyTarget(this._parts, offer, this._feedback, target, () =>
      target.applyNext([this.edited])
    );
    if (!applied) {
      return;
    }
    this._follow(applied);
    void moveCursor(this._panel, cell, start + text.length).then(this.display, () => undefined);
    if (target.length === 0 || !this.isOpen) {
      this.end();
    } else if (cell === offer.cell) {
      this.display();
      this._parts.live.say(offer.label);
    } else {
      this._show(cell);
    }
  }

  private _applyAll(target: OfferEdits, offer: Offer): void {
    const { trans } = this._parts;
    const applied =
      this._omitLocked(target) &&
      applyTarget(this._parts, offer, this._feedback, target, () =>
        target.apply([this.edited, offer.cell.model])
      );
    if (applied) {
      this._follow(applied);
      this._stop();
      const question = trans._n('Changed %1 occurrence.', 'Changed %1 occurrences.', target.length);
      report(this._parts, offer, applied, question);
    }
  }

  /** Withdraw the offer when the user undoes an application. */
  private _follow(applied: JointUndo): void {
    applied.stepped.connect((_, { step, changed }) => {
      if (step === 'undo' && !changed && !this._isUndone) {
        this._isUndone = true;
        this._feedback('undone');
        this._decline();
        if (this.isOpen) {
          this.end();
        }
      }
    });
  }

  private _cellOf(model: ICellModel | undefined): CodeCell | undefined {
    return this._panel.content.widgets.find(cell => cell.model === model) as CodeCell | undefined;
  }

  /** The offer has ended, or reports what was done. */
  private _stop(): void {
    clearTimeout(this._timer);
    this._panel.content.model?.cells.changed.disconnect(this.display);
    this._examples.forEach(({ model }) => model.sharedModel.changed.disconnect(this._exampleEdited));
    this._target?.release();
    this._target = null;
  }

  /** Withdraw the offer if an edit has changed an example. */
  private readonly _exampleEdited = (text: unknown, { sourceChange }: { sourceChange?: IStep[] }): void => {
    for (const example of this._examples) {
      if (sourceChange && example.model.sharedModel === text) {
        const range = moved(example.range, sourceChange);
        if (!range) {
          this.end();
          return;
        }
        example.range = range;
      }
    }
  };

  private readonly _feedback: Feedback;
  private _target: OfferEdits | null;
  private _offer: Offer | null = null;
  private _isUndone = false;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}

/** Return whether the kernel may show that a replaced text was wrong: it occurs elsewhere, and there is a kernel. */
function mayBeWrong(
  { sessionContext }: NotebookPanel,
  cells: readonly ICellModel[],
  replaced: string | null
): boolean {
  return (
    replaced !== null &&
    sessionContext.session?.kernel?.connectionStatus === 'connected' &&
    cells.some(({ type, sharedModel }) => type === 'code' && mentions(sharedModel.getSource(), replaced))
  );
}

/** Return the inserted text of an edit in its cell; null if later edits have enclosed it. */
function exampleOf({ cell, before, after }: ISettledEdit, cells: readonly ICellModel[]): IExample | null {
  const model = cells.find(({ id }) => id === cell);
  if (!model) {
    return null;
  }
  const { start, endAfter } = changedRegion(before, after);
  const inserted = after.slice(start, endAfter);
  const [head] = /(?<![\p{L}\p{N}_])[\p{L}\p{N}_]*$/u.exec(after.slice(0, start)) ?? [''];
  const [tail] = /^[\p{L}\p{N}_]*/u.exec(after.slice(endAfter)) ?? [''];
  const end = tail ? endAfter + tail.length : start + inserted.trimEnd().length;
  const source = model.sharedModel.getSource();
  const later = changedRegion(after, source);
  const steps = [
    { retain: later.start },
    { insert: source.slice(later.start, later.endAfter) },
    { delete: later.end - later.start }
  ];
  const range = moved({ start: start - head.length, end }, steps);
  return range && { model, range };
}

/** Sort edits from a position in a cell to the end of the notebook, then from its beginning. */
function fromPosition(edits: readonly IEdit[], active: number, position: number): IEdit[] {
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
  setCursor(cell, offset);
  if (content.mode === 'edit') {
    cell.editor?.focus();
  } else {
    content.activate(); // the active cell does not get the focus otherwise
  }
}

function setCursor({ editor }: CodeCell, offset: number, options?: { scroll: boolean }): void {
  const position = editor?.getPositionAt(offset);
  if (position) {
    editor?.setCursorPosition(position, options);
  }
}
