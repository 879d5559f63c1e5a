/** The status item, and its announcements for screen readers. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IStatusBar } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';
import { type Menu, Widget } from '@lumino/widgets';
import { CommandIDs, fillMenu } from './commands';
import type { ICompletionParts, IEngineParts } from './components';
import { element } from './elements';
import { Offers } from './fixes/offers';
import { shortcutOf } from './keys';
import {
  type Condition,
  describeAtRest,
  describeStatus,
  displaySteadily,
  type IStatus,
  labelOf,
  Status,
  tooltipOf
} from './status';
import { notifyOfUsageLog, showUsageLog } from './usagelog';

/** Show the status in the status bar, with a menu, and announce its changes. */
export function addStatus(
  { commands, restored }: JupyterFrontEnd,
  { availability, trans }: IEngineParts,
  { live, page, provider }: ICompletionParts,
  offers: Offers | null,
  statusBar: IStatusBar | null
): Status {
  const shortcut = (): string => shortcutOf(commands, CommandIDs.applyFix);
  const status = new Status(trans, availability, provider, page, offers ?? new Offers(), shortcut);
  provider.refused.connect(() => status.update());
  const [menu, off] = [new MenuSvg({ commands }), new MenuSvg({ commands })];
  off.title.label = trans.__('Turn Off');
  fillMenu(menu, off);
  const item = new StatusItem(trans, menu);
  const display = displaySteadily(trans, now => item.display(now));
  let announced: Condition | null = null;
  status.changed.connect((_, now) => {
    display(now);
    // Announce other conditions than the first, also in pages without a status bar, but no requests.
    const condition = now.condition === 'generating' ? 'ready' : now.condition;
    if (announced && announced !== condition) {
      const message = describeAtRest(trans, { ...now, fixes: '' });
      // When all is well, remarks can wait: the menu names them.
      const reason = condition === 'ready' ? '' : now.reason;
      live.say([message, reason].filter(Boolean).join('. '));
    }
    announced = condition;
  });
  // Keep the open menu up to date.
  availability.changed.connect(() => menu.isVisible && menu.update());
  // The priority keeps it visible in a narrow window.
  statusBar?.registerStatusItem('jupyter-turbopilot:plugin', { item, align: 'right', rank: 50, priority: 1 });
  void restored.then(() =>
    notifyOfUsageLog(
      availability,
      trans,
      () => item.isVisible, // not before the application is restored
      async () => {
        await showUsageLog(availability, trans);
        page.returnFocus();
      }
    )
  );
  return status;
}

export class StatusItem extends Widget {
  constructor(
    private readonly _trans: TranslationBundle,
    menu: Menu
  ) {
    super();
    this._button.type = 'button';
    this._button.setAttribute('aria-haspopup', 'menu');
    const dot = element('span', 'jp-Turbopilot-dot');
    dot.setAttribute('aria-hidden', 'true');
    const details = element('span', 'jp-Turbopilot-details');
    details.append(this._address, this._time);
    const label = element('span', 'jp-Turbopilot-label');
    label.append(this._name, this._state, details);
    this._button.append(dot, label);
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

  private readonly _button = element('button', 'jp-Turbopilot-status');
  private readonly _name = element('span', 'jp-Turbopilot-name');
  private readonly _state = element('span', 'jp-Turbopilot-state');
  private readonly _address = element('span', 'jp-Turbopilot-address');
  private readonly _time = element('span', 'jp-Turbopilot-time');
}
