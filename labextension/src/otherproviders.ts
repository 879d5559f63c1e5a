/** A notification, once for each other extension, that it suggests code beside Turbopilot. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Completers } from './completers';

/** The localStorage key of the providers for which the notification was shown. */
const NOTIFIED = 'jupyter-turbopilot:providers-notified';

/** Note a provider; return whether it is noted for the first time. */
function note(identifier: string): boolean {
  const noted = (localStorage.getItem(NOTIFIED) ?? '').split('\n');
  if (noted.includes(identifier)) {
    return false;
  }
  localStorage.setItem(NOTIFIED, [...noted, identifier].join('\n'));
  return true;
}

/** Notify the user of each provider with suggestions that is not one of `own`. `openSettings`: null where there are none. */
export function notifyOfProviders(
  completers: Completers,
  own: readonly string[],
  trans: TranslationBundle,
  openSettings: () => (() => void) | null
): void {
  completers.created.connect((_, { model }) => {
    model?.suggestionsChanged.connect(() => {
      for (const { provider } of model.completions?.items ?? []) {
        if (!own.includes(provider.identifier) && note(provider.identifier)) {
          const open = openSettings();
          // JupyterLab shows 140 characters.
          Notification.info(
            trans.__(
              '%1 suggests code, too. Alt [ and Alt ] switch between suggestions. To use only one extension, disable the other.',
              provider.name
            ),
            {
              autoClose: false,
              actions: [
                { label: trans.__('Keep Both'), callback: () => undefined },
                ...(open ? [{ label: trans.__('Open Settings'), callback: open }] : [])
              ]
            }
          );
        }
      }
    });
  });
}
