/** What the status bar shows: which model, how it is doing, how long the last suggestion took. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';
import { type Menu, Widget } from '@lumino/widgets';
import type { Availability, IState } from './availability';
import type { IActivity } from './inflight';
import type { Provider } from './provider';
import { describeTrouble } from './words';

export type Condition = 'off' | 'snoozed' | 'loading' | 'ready' | 'thinking' | 'failed';

export interface IStatus {
  condition: Condition;
  model: string;
  lastMs: number | null;
  reason: string;
}

/** A duration in milliseconds or seconds. */
function describeTime(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Say a state in a few words, and how long the last suggestion took. */
function wordsOf(trans: TranslationBundle, { condition, lastMs }: IStatus): [string, string] {
  const words: Record<Condition, string> = {
    off: trans.__('off'),
    snoozed: trans.__('snoozed'),
    loading: trans.__('loading'),
    ready: trans.__('ready'),
    thinking: trans.__('thinking'),
    failed: trans.__('not available')
  };
  const time = condition === 'ready' && lastMs !== null ? ` · ${describeTime(lastMs)}` : '';
  return [`Turbopilot: ${words[condition]}`, time];
}

/** The condition that the person sees. Pure. */
export function conditionOf(
  { health, trouble }: IState,
  { enabled, snoozed, thinking }: { enabled: boolean; snoozed: boolean; thinking: boolean }
): Condition {
  if (!enabled) {
    return 'off';
  }
  if (health?.phase === 'loading') {
    return 'loading';
  }
  if (trouble) {
    return 'failed';
  }
  return snoozed ? 'snoozed' : thinking ? 'thinking' : 'ready';
}

/** Puts together what is known of the server, the provider and the document. */
export class Status {
  constructor(
    private readonly _trans: TranslationBundle,
    private readonly _availability: Availability,
    private readonly _provider: Provider,
    private readonly _page: { readonly path: string | null }
  ) {
    _availability.changed.connect(() => this.update());
    _provider.activity.connect((_, activity) => {
      this._activity = activity;
      this.update();
    });
  }

  get current(): IStatus {
    const { state } = this._availability;
    const { settings, snoozed } = this._provider;
    return {
      condition: conditionOf(state, {
        enabled: settings.enabled,
        snoozed: snoozed.has(this._page.path ?? ''),
        thinking: this._activity.thinking
      }),
      model: state.model,
      lastMs: this._activity.lastMs,
      reason: state.trouble ? describeTrouble(this._trans, state.trouble) : (state.health?.notice ?? '')
    };
  }

  get changed(): ISignal<this, IStatus> {
    return this._changed;
  }

  /** Something that it depends on may have changed. */
  update(): void {
    this._changed.emit(this.current);
  }

  private readonly _changed = new Signal<this, IStatus>(this);
  private _activity: IActivity = { thinking: false, lastMs: null };
}

/** Say a status in one line. */
export function describeStatus(trans: TranslationBundle, status: IStatus): string {
  return wordsOf(trans, status).join('');
}

export class StatusItem extends Widget {
  constructor(
    private readonly _trans: TranslationBundle,
    menu: Menu
  ) {
    super();
    this._button.type = 'button';
    this._button.className = 'jp-Turbopilot-status';
    this._button.setAttribute('aria-haspopup', 'menu');
    const dot = document.createElement('span');
    dot.className = 'jp-Turbopilot-dot';
    dot.setAttribute('aria-hidden', 'true');
    this._label.className = 'jp-Turbopilot-label';
    this._time.className = 'jp-Turbopilot-time';
    this._button.append(dot, this._label);
    this._open(menu);
    this.node.append(this._button);
  }

  display(status: IStatus): void {
    this._button.dataset.condition = status.condition;
    const [words, time] = wordsOf(this._trans, status);
    this._time.textContent = time;
    this._label.replaceChildren(words, this._time);
    // The title describes it to a screen reader, too.
    this._button.title = [status.model, status.reason].filter(Boolean).join('\n');
    this._button.setAttribute('aria-label', words + time);
  }

  /** Open the menu where the button is; when it closes, the focus goes back to where it was. */
  private _open(menu: Menu): void {
    let focused: Element | null = null;
    // The mouse leaves the focus in the cell.
    this._button.addEventListener('mousedown', event => event.preventDefault());
    this._button.addEventListener('click', () => {
      focused = document.activeElement;
      const { left, top } = this._button.getBoundingClientRect();
      menu.open(left, top);
    });
    menu.aboutToClose.connect(() => {
      if (focused instanceof HTMLElement) {
        focused.focus({ preventScroll: true });
      }
    });
  }

  private readonly _button = document.createElement('button');
  private readonly _label = document.createElement('span');
  private readonly _time = document.createElement('span');
}

/** Tells a screen reader what changes, in pages without a status bar too. */
export class LiveRegion {
  constructor() {
    this._node.className = 'jp-Turbopilot-live';
    this._node.setAttribute('aria-live', 'polite');
    document.body.append(this._node);
  }

  /** Have a text read aloud. */
  say(text: string): void {
    this._node.textContent = text;
  }

  /** Say how it is when that has changed: not at first, and not whenever it thinks. */
  status(trans: TranslationBundle, status: IStatus): void {
    const condition = status.condition === 'thinking' ? 'ready' : status.condition;
    if (this._condition && this._condition !== condition) {
      const words = describeStatus(trans, { ...status, condition, lastMs: null });
      this.say([words, status.reason].filter(Boolean).join('. '));
    }
    this._condition = condition;
  }

  private readonly _node = document.createElement('div');
  private _condition: Condition | '' = '';
}
