/** The notifications that are shown once in each workspace, in JupyterLab's state database. */

import type { IStateDB } from '@jupyterlab/statedb';

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
