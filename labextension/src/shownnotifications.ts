/** The notifications that are shown once in each workspace; one of them names the other extensions that suggest code. */

import { Notification } from '@jupyterlab/apputils';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Completers } from './completers';

/** Those that were shown, in JupyterLab's state database. */
export class ShownNotifications {
  constructor(private readonly _state: IStateDB | null) {}

  /** Store that a notification is shown; return whether it has not been shown before. */
  async note(notification: string): Promise<boolean> {
    if (this._here.has(notification)) {
      return false;
    }
    this._here.add(notification);
    const key = `jupyter-turbopilot:shown:${notification}`;
    try {
      if (await this._state?.fetch(key)) {
        return false;
      }
      await this._state?.save(key, true);
    } catch {
      // It is shown again in another page.
    }
    return true;
  }

  /** Those of this page. */
  private readonly _here = new Set<string>();
}

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
    Notification.info(trans.__('%1 suggests code, too. Alt [ and Alt ] switch between them.', name), {
      autoClose: false,
      actions: [
        { label: trans.__('Keep Both'), callback: () => undefined },
        ...(open ? [{ label: trans.__('Open Settings'), callback: open }] : [])
      ]
    });
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
