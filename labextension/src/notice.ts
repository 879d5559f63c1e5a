/** Notifications about errors: one per error, removed once the error is resolved. */

import { Clipboard, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IEngineHealth } from './client';
import { isModifier } from './modifierkeys';
import type { DownloadOffer } from './downloadoffer';
import { DISABLED, type IRequestError, WITHHELD } from './requesterror';
import { describeRequestError } from './messages';

export const SHOWN = 10000;
const BRIEF = 4000;
/** Milliseconds until JupyterLab has displayed an update of a notification. */
const DISPLAY_DELAY = 100;

interface IShownMessage {
  /** empty if it is dismissed */
  id: string;
  message: string;
}

const NOTHING: IShownMessage = { id: '', message: '' };

function isThere({ id }: IShownMessage): boolean {
  return Notification.manager.has(id);
}

function dismiss(shown: IShownMessage): void {
  if (isThere(shown)) {
    const { id } = shown;
    shown.id = '';
    // JupyterLab displays an update even if the notification has been dismissed since.
    setTimeout(() => Notification.dismiss(id), DISPLAY_DELAY);
  }
}

export class Notice {
  /** Show a warning, unless it was shown before. */
  warn(message: string, actions: Notification.IAction[] = []): void {
    if (message === this._warning.message) {
      return;
    }
    this.clear();
    if (message === this._answer.message && isThere(this._answer)) {
      this._warning = this._answer;
      Notification.update({ id: this._warning.id, message, type: 'warning', autoClose: SHOWN, actions });
    } else {
      this._warning = { id: Notification.warning(message, { autoClose: SHOWN, actions }), message };
    }
  }

  /** Show a short reply to a command; a notification with the same text is extended instead of repeated. */
  brief(message: string, actions: Notification.IAction[] = []): IShownMessage {
    const shown = [this._warning, this._answer].find(one => one.message === message && isThere(one));
    const autoClose = actions.length > 0 ? SHOWN : BRIEF; // time to reach a button
    if (shown) {
      Notification.update({ id: shown.id, message, autoClose });
      return shown;
    }
    dismiss(this._answer);
    this._answer = { id: Notification.info(message, { autoClose, actions }), message };
    return this._answer;
  }

  /** Show a reply to a command until the next keystroke. */
  untilKey(message: string): void {
    const shown = this.brief(message);
    const pressed = (event: KeyboardEvent): void => {
      if (isModifier(event)) {
        return;
      }
      document.removeEventListener('keydown', pressed, true);
      if (shown !== this._warning) {
        dismiss(shown); // a warning stays as long as the error
      }
    };
    document.addEventListener('keydown', pressed, true);
  }

  /** Remove a reply that is out of date. */
  withdraw(): void {
    // A warning that replaced the reply stays as long as the error.
    if (this._answer !== this._warning) {
      dismiss(this._answer);
    }
  }

  /** The error is resolved: remove the warning, and show it again if the error recurs. */
  forget(): void {
    this.clear();
    this._warning = NOTHING;
  }

  /** Remove the warning. */
  clear(): void {
    dismiss(this._warning);
  }

  private _warning = NOTHING;
  private _answer = NOTHING;
}

/** Consecutive failures before a notification is shown. A busy server is never reported. */
const FAILURES_BEFORE_NOTICE = 2;

/** Codes of errors that the status item shows, and no notification: the user or the administrator caused them. */
const QUIET: unknown[] = [DISABLED, WITHHELD];
/** Transient errors. JupyterLab itself reports a server that cannot be reached. */
const TRANSIENT: unknown[] = ['busy', 'limited', 'unreachable'];

/** Return a key that distinguishes errors whose messages vary. */
function keyOf(error: IRequestError, health: IEngineHealth | null): string {
  return [error.kind, health?.code, health?.command].join();
}

/** Show notifications about errors from now on. `completeHere`: null if the page must not run a model. */
export function notifyOfHealth(
  availability: Availability,
  notice: Notice,
  offer: DownloadOffer,
  trans: TranslationBundle,
  completeHere: (() => unknown) | null
): void {
  /** The errors already shown in this outage. Their messages vary, so code and command identify them. */
  const shown = new Set<string>();
  availability.changed.connect((_, { now: { failures, health, error } }) => {
    if (failures === 0) {
      shown.clear();
      notice.forget();
    } else if (!error) {
      shown.clear();
      notice.clear();
    } else if (health?.code === 'model_missing' || health?.code === 'model_damaged') {
      void offer.offer(health.model, health.code);
    } else if (
      failures >= FAILURES_BEFORE_NOTICE &&
      !QUIET.includes(health?.code) &&
      !TRANSIENT.includes(error.kind) &&
      !shown.has(keyOf(error, health))
    ) {
      shown.add(keyOf(error, health));
      const actions: Notification.IAction[] = [];
      const command = health?.command;
      if (command) {
        actions.push({
          label: trans.__('Copy Engine Install Command'),
          callback: () => Clipboard.copyToSystem(command)
        });
      }
      if (completeHere && (error.kind === 'missing' || error.kind === 'no server')) {
        actions.push({ label: trans.__('Use Browser Model'), callback: () => void completeHere() });
      }
      notice.warn(`Turbopilot: ${describeRequestError(trans, error)}`, actions);
    }
  });
}
