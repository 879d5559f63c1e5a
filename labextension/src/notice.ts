/** One quiet notification for one trouble, however many keys are pressed; gone when the trouble is. */

import { Notification } from '@jupyterlab/apputils';

const SHOWN = 10000;
const BRIEF = 4000;

interface ISaid {
  id: string;
  message: string;
}

const NOTHING: ISaid = { id: '', message: '' };

function dismiss({ id }: ISaid): void {
  if (Notification.manager.has(id)) {
    Notification.dismiss(id);
  }
}

export class Notice {
  /** Say what is wrong, unless it has been said. */
  warn(message: string): void {
    if (message !== this._warning.message) {
      this.clear();
      if (message === this._answer.message) {
        dismiss(this._answer);
      }
      this._warning = { id: Notification.warning(message, { autoClose: SHOWN }), message };
    }
  }

  /** Answer somebody who asked for something; the next answer takes its place, and that of a warning that says the same. */
  brief(message: string): void {
    dismiss(this._answer);
    if (message === this._warning.message) {
      this.clear();
    }
    this._answer = { id: Notification.info(message, { autoClose: BRIEF }), message };
  }

  /** It is over, and may be said again when it comes back. */
  forget(): void {
    this.clear();
    this._warning = NOTHING;
  }

  /** Nothing is wrong at the moment. */
  clear(): void {
    dismiss(this._warning);
  }

  private _warning = NOTHING;
  private _answer = NOTHING;
}
