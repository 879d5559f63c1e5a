/** The usage log: its menu entry, its dialog, and a notification in pages without a status item. */

import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IUsageLog } from './wire';

/** The label of the menu entry. */
export function describeUsageLog(trans: TranslationBundle, log: IUsageLog | null): string {
  if (log?.error) {
    return trans.__('Usage Log Error…');
  }
  return log?.text ? trans.__('Usage Log (Includes Suggestions)…') : trans.__('Usage Log…');
}

/** Describe the contents of the log, its file, and how to disable it. */
export function explainUsageLog(trans: TranslationBundle, { text, file, error }: IUsageLog): string {
  const holds = text
    ? trans.__(
        'The server logs the suggestions that you see: when they appear, their text, which of them you accept, overwrite or dismiss, and how much of them you keep. Suggestions that look like secrets are logged without their text.'
      )
    : trans.__(
        'The server logs the suggestions that you see: when they appear, how long they are, which of them you accept, overwrite or dismiss, and how much of them you keep. It logs numbers, no text.'
      );
  return [
    holds,
    trans.__('The log contains no user names and no paths, and is not sent anywhere.'),
    file ? trans.__('It is stored in %1, where only the owner of this server can read it.', file) : '',
    error ? trans.__('The log cannot be written: %1.', error) : '',
    trans.__(
      'To turn it on or off, set c.Turbopilot.usage_log in the server’s configuration. To delete it, remove the file and an older one beside it.'
    )
  ]
    .filter(Boolean)
    .join(' ');
}

/** Show the dialog. */
export async function showUsageLog(availability: Availability, trans: TranslationBundle): Promise<void> {
  await availability.check();
  const log = availability.state.health?.usage_log;
  if (log) {
    await showDialog({
      title: trans.__('Usage Log'),
      body: explainUsageLog(trans, log),
      buttons: [Dialog.okButton()]
    });
  }
}

/** Show a notification once in each page if a log is enabled and no status item is shown. */
export function notifyOfUsageLog(
  availability: Availability,
  trans: TranslationBundle,
  isShown: () => boolean,
  showMore: () => unknown
): void {
  const tell = (): void => {
    if (!availability.state.health?.usage_log || isShown()) {
      return;
    }
    availability.changed.disconnect(tell);
    Notification.info(trans.__('Turbopilot logs your suggestions in a usage log.'), {
      autoClose: false,
      actions: [
        { label: trans.__('OK'), callback: () => undefined },
        { label: trans.__('More…'), callback: () => void showMore() }
      ]
    });
  };
  availability.changed.connect(tell);
}
