/** A notification, once for each other extension, that it suggests code beside Turbopilot. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Completers } from './completers';
import type { ShownNotifications } from './shownnotifications';

/** Notify the user of each provider with suggestions that is not one of `own`. `openSettings`: null where there are none. */
export function notifyOfProviders(
  completers: Completers,
  own: readonly string[],
  shown: ShownNotifications,
  trans: TranslationBundle,
  openSettings: () => (() => void) | null
): void {
  const notify = (name: string): void => {
    const open = openSettings();
    // JupyterLab shows 140 characters.
    Notification.info(
      trans.__(
        '%1 suggests code, too. Alt [ and Alt ] switch between suggestions. To use only one extension, disable the other.',
        name
      ),
      {
        autoClose: false,
        actions: [
          { label: trans.__('Keep Both'), callback: () => undefined },
          ...(open ? [{ label: trans.__('Open Settings'), callback: open }] : [])
        ]
      }
    );
  };
  completers.created.connect((_, { model }) => {
    model?.suggestionsChanged.connect(() => {
      for (const { provider } of model.completions?.items ?? []) {
        if (!own.includes(provider.identifier)) {
          void shown.note(provider.identifier).then(isNew => isNew && notify(provider.name));
        }
      }
    });
  });
}
