/** What the status bar shows: which model, how it is doing, how long the last suggestion took. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { type Menu, Widget } from '@lumino/widgets';

export type Phase = 'off' | 'snoozed' | 'loading' | 'ready' | 'thinking' | 'failed';

export interface IStatus {
  phase: Phase;
  model: string;
  lastMs: number | null;
  reason: string;
}

/** Say how long something took. */
function describeTime(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Say a state in a few words, and how long the last suggestion took. */
function wordsOf(trans: TranslationBundle, { phase, lastMs }: IStatus): [string, string] {
  const words: Record<Phase, string> = {
    off: trans.__('off'),
    snoozed: trans.__('snoozed'),
    loading: trans.__('loading'),
    ready: trans.__('ready'),
    thinking: trans.__('thinking'),
    failed: trans.__('not available')
  };
  const time = phase === 'ready' && lastMs !== null ? ` · ${describeTime(lastMs)}` : '';
  return [`Turbopilot: ${words[phase]}`, time];
}

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

  /** Show a state. */
  show_(status: IStatus): void {
    this._button.dataset.phase = status.phase;
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

  say(text: string): void {
    this._node.textContent = text;
  }

  /** Say how it is when that has changed: not at first, and not whenever it thinks. */
  status(trans: TranslationBundle, status: IStatus): void {
    const phase = status.phase === 'thinking' ? 'ready' : status.phase;
    if (this._phase && this._phase !== phase) {
      this.say(
        [describeStatus(trans, { ...status, phase, lastMs: null }), status.reason].filter(Boolean).join('. ')
      );
    }
    this._phase = phase;
  }

  private readonly _node = document.createElement('div');
  private _phase: Phase | '' = '';
}
