/** The status in the status bar: the model, its state, the latency of the last suggestion. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { JSONExt } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';
import type { Availability, IState } from './availability';
import type { Offers } from './fixes/offers';
import type { Provider } from './provider';
import { describeSize } from './filesize';
import type { ICompletionFrame } from './client';
import { type HiddenReason, type OffSwitch, offSwitches, switchOf } from './decline';
import type { Page } from './page';
import { DISABLED, WITHHELD } from './requesterror';
import type { IProgress } from './wire';
import { describeDecline, describeIndex, describeHidden, describeRequestError } from './messages';

export type Condition = OffSwitch | 'loading' | 'ready' | 'generating' | 'busy' | 'absent' | 'failed';

export interface IStatus {
  condition: Condition;
  /** The description of the model. */
  model: string;
  /** The progress of the model's download; `null`: no download, or an unknown size. */
  percent: number | null;
  /** The host that code is sent to; empty if code does not leave the server. */
  address: string;
  /** Whether the usage log is enabled. */
  usageLog: boolean;
  lastMs: number | null;
  /** The number of fixes that are offered, and the shortcut that applies the next one; empty: there are none. */
  fixes: string;
  reason: string;
  /** The progress of the notebook index; empty: there is none. */
  index: string;
}

/** A duration in milliseconds or seconds. */
function describeTime(milliseconds: number): string {
  if (milliseconds < 1) {
    return '< 1 ms'; // a cached completion
  }
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Return the parts of the label. A narrow window hides the time, the address and the name, but never the state. Fixes replace it. */
export function labelOf(
  trans: TranslationBundle,
  { condition, percent, address, usageLog, lastMs, fixes }: IStatus
) {
  const states: Record<Condition, string> = {
    denied: trans.__('off (administrator)'),
    off: trans.__('off'),
    stopped: trans.__('off (until reload)'),
    'disabled in notebook': trans.__('off (this notebook)'),
    'invalid metadata': trans.__('off (this notebook)'),
    paused: trans.__('off (this document)'),
    loading: percent === null ? trans.__('loading') : trans.__('loading, %1 %', percent),
    ready: trans.__('ready'),
    generating: trans.__('generating'),
    busy: trans.__('busy'),
    absent: trans.__('no model'),
    failed: trans.__('error')
  };
  const logged = usageLog ? ` · ${trans.__('usage log')}` : '';
  return {
    name: 'Turbopilot: ',
    state: `${fixes || states[condition]}${logged}`,
    address: address && condition !== 'off' ? ` · ${address}` : '',
    time: condition === 'ready' && !fixes && lastMs !== null ? ` · ${describeTime(lastMs)}` : ''
  };
}

/** Return the tooltip, which screen readers announce as well. */
export function tooltipOf(trans: TranslationBundle, status: IStatus): string {
  const { condition, model, address, usageLog, lastMs, reason, index } = status;
  const where = address && trans.__('Code is sent to %1.', address);
  const indexed = index && trans.__('Notebook index: %1', index);
  const logged = usageLog && trans.__('Usage log: on');
  const isTimed = condition === 'ready' && lastMs !== null;
  const time = isTimed && trans.__('Time to the last suggestion: %1', describeTime(lastMs));
  return [model, where, logged, indexed, time, reason].filter(Boolean).join('\n');
}

/** Return the progress of a download in percent. */
function percentOf(step: IProgress | null | undefined): number | null {
  return step?.phase === 'downloading' && step.total
    ? Math.floor((100 * (step.received ?? 0)) / step.total)
    : null;
}

/** Describe the model; for one in this page, with its size and state. */
export function describeModel(trans: TranslationBundle, { model, health }: IState): string {
  if (!health?.inPage) {
    return model;
  }
  const facts = [model || trans.__('A model'), describeSize(health.inPage.size)].filter(Boolean).join(', ');
  const state = health.ready
    ? trans.__('loaded')
    : health.phase === 'empty'
      ? trans.__('loads when you type')
      : health.phase === 'loading'
        ? trans.__('loading')
        : trans.__('error');
  return trans.__('%1, in this page: %2', facts, state);
}

/** Return the condition to show. `off`: the switch that turns suggestions off in the current document. Pure. */
export function conditionOf(
  { health, error }: IState,
  off: OffSwitch | null,
  { generating, isTimedOut }: Pick<IActivity, 'generating' | 'isTimedOut'>
): Condition {
  if (health?.code === DISABLED) {
    return 'denied';
  }
  if (off && off !== 'paused') {
    return off;
  }
  if (health?.phase === 'loading') {
    return 'loading';
  }
  if (error?.kind === 'busy') {
    return 'busy';
  }
  if (error) {
    return health?.code === WITHHELD || health?.code === 'model_missing' ? 'absent' : 'failed';
  }
  const busy = health?.busy === true || (isTimedOut && !health?.inPage);
  return off ?? (generating ? 'generating' : busy ? 'busy' : 'ready');
}

/** The maximum time in milliseconds for which the status item shows *busy* after a timeout. */
export const TIMEOUT_SHOWN = 10_000;

/** The activity of the server for this page. */
export interface IActivity {
  generating: boolean;
  lastMs: number | null;
  /** Whether the last request timed out without a text, less than `TIMEOUT_SHOWN` ago. */
  isTimedOut: boolean;
  /** The reason for which the last automatic request has no suggestion. */
  hiddenReason: HiddenReason | null;
  /** The table of the kernel whose column the last suggestion names at the cursor. */
  table?: string;
}

/** Emits the activity when it changes. */
export class Activity extends Signal<Availability, IActivity> {
  constructor(availability: Availability) {
    super(availability);
    availability.changed.connect((_, { before, now }) => {
      const isAnother = before.model !== '' && before.model !== now.model;
      if (isAnother || (before.health && !now.health)) {
        this.report({ lastMs: null, isTimedOut: false }); // the last latency belongs to another model or engine
      }
    });
  }

  report(change: Partial<IActivity>): void {
    this._last = { ...this._last, ...change };
    this.emit(this._last);
  }

  /** A request was sent (1) or has ended (-1). */
  open(change: 1 | -1): void {
    this._open += change;
    this.report({ generating: this._open > 0, ...(change > 0 && { isTimedOut: false }) });
  }

  /** The last frame has timings. */
  received({ timings, hidden_reason, table }: ICompletionFrame, isTimedOut: boolean): void {
    if (timings) {
      const hiddenReason = hidden_reason ?? null;
      // The latency excludes model loading; a timeout has none.
      this.report({ lastMs: isTimedOut ? null : timings.total_ms, isTimedOut, hiddenReason, table });
      if (isTimedOut) {
        clearTimeout(this._timer);
        this._timer = setTimeout(() => this.report({ isTimedOut: false }), TIMEOUT_SHOWN);
      }
    }
  }

  private _last: IActivity = { generating: false, lastMs: null, isTimedOut: false, hiddenReason: null };
  private _open = 0;
  private _timer?: ReturnType<typeof setTimeout>;
}

/** Combines the states of the server, the provider and the document. */
export class Status {
  constructor(
    private readonly _trans: TranslationBundle,
    private readonly _availability: Availability,
    private readonly _provider: Provider,
    private readonly _page: Pick<Page, 'path' | 'notebook' | 'notebookView'>,
    private readonly _offers: Offers,
    private readonly _shortcut: () => string
  ) {
    _offers.changed.connect(() => this.update());
    _availability.changed.connect(() => this.update());
    _provider.activity.connect((_, activity) => {
      this._activity = activity;
      this.update();
    });
  }

  get current(): IStatus {
    const { state } = this._availability;
    const document = { path: this._page.path ?? '', notebookSwitch: switchOf(this._page.notebook) };
    const off = offSwitches(document, this._provider.settings, this._provider);
    return {
      condition: conditionOf(state, off[0] ?? null, this._activity),
      model: describeModel(this._trans, state),
      percent: percentOf(state.health?.inPage?.step),
      address: state.health?.address ?? '',
      usageLog: Boolean(state.health?.usage_log),
      lastMs: this._activity.lastMs,
      fixes: this._describeFixes(),
      reason: this._reasonFor(off, document.path),
      index: this._describeIndex()
    };
  }

  /** Return the reason for the condition, or remarks about the suggestions. */
  private _reasonFor(off: readonly OffSwitch[], path: string): string {
    const { health, error } = this._availability.state;
    const { hiddenReason, isTimedOut, table } = this._activity;
    const { settings, denied } = this._provider;
    const trans = this._trans;
    if (error) {
      return describeRequestError(trans, error);
    }
    if (off.length > 0) {
      // The results of earlier requests no longer apply.
      return off
        .filter((each, index) => index > 0 || each === 'denied' || each === 'invalid metadata') // not in the label
        .map(each => (each === 'denied' && denied.get(path)?.message) || describeDecline(trans, each, null))
        .join('\n');
    }
    if (health?.busy) {
      return trans.__('Many users are active. Suggestions may be slower, shorter or missing.');
    }
    if (isTimedOut && !health?.inPage) {
      return describeDecline(trans, 'timeout', null);
    }
    const hidden = settings.mode === 'on demand' ? null : hiddenReason;
    const column = table && trans.__('Suggestion: column of %1', table);
    return [health?.notice || describeHidden(trans, hidden), column, health?.slow].filter(Boolean).join('\n');
  }

  private _describeIndex(): string {
    const index = this._availability.state.health?.notebook_index;
    if (!index) {
      return '';
    }
    const isUsed = this._provider.settings.notebookIndex || index.error;
    return isUsed ? describeIndex(this._trans, index) : this._trans.__('not used');
  }

  private _describeFixes(): string {
    const count = this._offers.countFixes(this._page.notebookView);
    const fixes = count > 0 ? this._trans._n('%1 fix', '%1 fixes', count) : '';
    return [fixes, fixes && this._shortcut()].filter(Boolean).join(': ');
  }

  readonly changed = new Signal<this, IStatus>(this);

  /** Emit the status if it has changed. */
  update(): void {
    const { current } = this;
    if (!JSONExt.deepEqual({ ...current }, { ...this._last })) {
      this._last = current;
      this.changed.emit(current);
    }
  }

  private _last: IStatus | null = null;
  private _activity: IActivity = { generating: false, lastMs: null, isTimedOut: false, hiddenReason: null };
}

/** Milliseconds without a change after which the status item shows the activity. */
export const PAUSE = 1000;

/**
 * Return a function that displays a status. Each keystroke sends a request, so the item shows whether the server
 * generates, and the time of the last suggestion, when the user pauses; everything else at once.
 */
export function displaySteadily(
  trans: TranslationBundle,
  display: (status: IStatus) => void
): (status: IStatus) => void {
  let shown: IStatus | null = null;
  let timer: ReturnType<typeof setTimeout>;
  return status => {
    const show = (): void => {
      shown = status;
      display(status);
    };
    const atRest = (each: IStatus): string => `${describeAtRest(trans, each)}\n${each.model}`;
    clearTimeout(timer);
    if (shown && atRest(shown) === atRest(status)) {
      timer = setTimeout(show, PAUSE);
    } else {
      show();
    }
  };
}

/** Describe a status in one line, without the activity. */
export function describeAtRest(trans: TranslationBundle, { condition, ...status }: IStatus): string {
  const atRest = condition === 'generating' ? 'ready' : condition;
  return describeStatus(trans, { ...status, condition: atRest, lastMs: null });
}

/** Describe a status in one line. */
export function describeStatus(trans: TranslationBundle, status: IStatus): string {
  const { name, state, address, time } = labelOf(trans, status);
  return name + state + address + time;
}
