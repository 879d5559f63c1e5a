/** The status item, and its announcements for screen readers. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { type Menu, Widget } from '@lumino/widgets';
import type { LiveRegion } from './liveregion';
import { type Condition, describeStatus, type IStatus, tooltipOf, labelOf } from './status';

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
    this._name.className = 'jp-Turbopilot-name';
    this._state.className = 'jp-Turbopilot-state';
    this._details.className = 'jp-Turbopilot-details';
    this._address.className = 'jp-Turbopilot-address';
    this._time.className = 'jp-Turbopilot-time';
    this._label.className = 'jp-Turbopilot-label';
    this._details.append(this._address, this._time);
    this._label.append(this._name, this._state, this._details);
    this._button.append(dot, this._label);
    this._open(menu);
    this.node.append(this._button);
  }

  display(status: IStatus): void {
    this._button.dataset.condition = status.condition;
    const { name, state, address, time } = labelOf(this._trans, status);
    this._name.textContent = name;
    this._address.textContent = address;
    this._time.textContent = time;
    this._state.textContent = state;
    this._button.title = tooltipOf(this._trans, status);
    this._button.setAttribute('aria-label', describeStatus(this._trans, status));
  }

  /** Open the menu at the button; when it closes, restore the focus. */
  private _open(menu: Menu): void {
    let focused: Element | null = null;
    // A click does not move the focus out of the cell.
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
  private readonly _name = document.createElement('span');
  private readonly _state = document.createElement('span');
  private readonly _details = document.createElement('span');
  private readonly _address = document.createElement('span');
  private readonly _time = document.createElement('span');
}

/** Announces changes of the status, also in pages without a status bar; not the first one, and no requests. */
export class StatusAnnouncer {
  constructor(
    private readonly _trans: TranslationBundle,
    private readonly _live: LiveRegion
  ) {}

  announce(status: IStatus): void {
    const condition = status.condition === 'generating' ? 'ready' : status.condition;
    if (this._condition && this._condition !== condition) {
      const message = describeStatus(this._trans, { ...status, condition, lastMs: null });
      this._live.say([message, status.reason].filter(Boolean).join('. '));
    }
    this._condition = condition;
  }

  private _condition: Condition | '' = '';
}
