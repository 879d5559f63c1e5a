/** The item in the status bar: which model, how it is doing, how long the last suggestion took. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

export type Phase = 'off' | 'loading' | 'ready' | 'thinking' | 'failed';

export interface IStatus {
  phase: Phase;
  model: string;
  lastMs: number | null;
  reason: string | null;
  snoozed: boolean;
}

export class StatusItem extends Widget {
  constructor(
    private readonly _trans: TranslationBundle,
    open: (anchor: DOMRect) => void
  ) {
    super();
    this._button.type = 'button';
    this._button.className = 'jp-Turbopilot-status';
    this._button.setAttribute('aria-haspopup', 'menu');
    const dot = document.createElement('span');
    dot.className = 'jp-Turbopilot-dot';
    dot.setAttribute('aria-hidden', 'true');
    this._button.append(dot, this._label);
    this._button.addEventListener('click', () => open(this._button.getBoundingClientRect()));
    this._live.className = 'jp-Turbopilot-live';
    this._live.setAttribute('aria-live', 'polite');
    this.node.append(this._button, this._live);
  }

  /** Show a state. */
  show_(status: IStatus): void {
    const words: Record<Phase, string> = {
      off: this._trans.__('off'),
      loading: this._trans.__('loading'),
      ready: this._trans.__('ready'),
      thinking: this._trans.__('thinking'),
      failed: this._trans.__('not available')
    };
    const state = status.snoozed ? this._trans.__('snoozed') : words[status.phase];
    const time =
      status.phase === 'ready' && status.lastMs !== null ? ` · ${Math.round(status.lastMs)} ms` : '';
    this._button.dataset.phase = status.snoozed ? 'off' : status.phase;
    this._label.textContent = `Turbopilot: ${state}${time}`;
    const title = [status.model, status.reason].filter(Boolean).join('\n');
    this._button.title = title;
    this._button.setAttribute('aria-label', `Turbopilot, ${state}. ${title.replace('\n', '. ')}`);
  }

  /** Say something to a screen reader. */
  announce(text: string): void {
    this._live.textContent = text;
  }

  private readonly _button = document.createElement('button');
  private readonly _label = document.createElement('span');
  private readonly _live = document.createElement('span');
}
