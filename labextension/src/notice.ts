/** One quiet notification for one trouble, however many keys are pressed; gone when the trouble is. */

import { Notification } from '@jupyterlab/apputils';

const SHOWN = 10000;
const BRIEF = 4000;

export class Notice {
  /** Say what is wrong, unless it has been said. */
  warn(message: string): void {
    if (message !== this._said) {
      this.clear();
      this._said = message;
      this._shown = Notification.warning(message, { autoClose: SHOWN });
    }
  }

  /** Answer somebody who asked for something; the next answer takes its place. */
  brief(message: string): void {
    if (Notification.manager.has(this._brief)) {
      Notification.dismiss(this._brief);
    }
    this._brief = Notification.info(message, { autoClose: BRIEF });
  }

  /** It is over, and may be said again when it comes back. */
  forget(): void {
    this.clear();
    this._said = '';
  }

  /** Nothing is wrong at the moment. */
  clear(): void {
    if (Notification.manager.has(this._shown)) {
      Notification.dismiss(this._shown);
    }
  }

  private _said = '';
  private _shown = '';
  private _brief = '';
}
