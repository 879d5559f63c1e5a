/** A notification, once for each folder, that the server indexes the user’s notebooks. */

import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IMemory } from './wire';

/** The localStorage key of the folders for which the notification was shown. */
const TOLD = 'jupyter-turbopilot:memory-told';
const MOST_TOLD = 64;

function told(): string[] {
  try {
    const noted: unknown = JSON.parse(localStorage.getItem(TOLD) ?? '[]');
    return Array.isArray(noted) ? noted.map(String) : [];
  } catch {
    return []; // without storage, the notification is shown in each page
  }
}

function note(roots: string[]): void {
  try {
    localStorage.setItem(TOLD, JSON.stringify(roots.slice(-MOST_TOLD)));
  } catch {
    // The notification is shown again.
  }
}

/** Show the dialog that explains the index; return whether the user chose to stop using it. */
async function showMore(
  trans: TranslationBundle,
  { root, place }: IMemory,
  isUsed: boolean
): Promise<boolean> {
  const use = isUsed
    ? trans.__('To stop using it, disable “Suggest from my notebooks” in the settings.')
    : trans.__('It is no longer used. To use it again, enable “Suggest from my notebooks” in the settings.');
  const stop = trans.__('Stop Using');
  const { button } = await showDialog({
    title: trans.__('Notebook Index'),
    body: trans.__(
      'The server indexes the notebooks and source files in %1, so that it can suggest code that you wrote before. The index is stored in %2, where only you can read it. %3 To delete it, run “jupyter turbopilot index clear”. To disable indexing, set c.Turbopilot.notebook_index = False in the server’s configuration.',
      root,
      place,
      use
    ),
    buttons: isUsed ? [Dialog.cancelButton({ label: stop }), Dialog.okButton()] : [Dialog.okButton()]
  });
  return button.label === stop; // Escape is a cancel button of another label
}

/** Notify the user once for each folder that it is indexed, with a way to stop using the index. */
export function tellOfMemory(
  availability: Availability,
  trans: TranslationBundle,
  isUsed: () => boolean,
  stop: () => unknown,
  returnFocus: () => void
): void {
  let done = '';
  const explain = async (memory: IMemory): Promise<void> => {
    if (await showMore(trans, memory, isUsed())) {
      stop();
    }
    returnFocus();
  };
  availability.changed.connect((_, { now }) => {
    const memory = now.health?.memory;
    if (!memory || memory.trouble || memory.root === done || !isUsed()) {
      return;
    }
    done = memory.root;
    const before = told();
    if (before.includes(memory.root)) {
      return;
    }
    note([...before, memory.root]);
    // JupyterLab shows 140 characters: the rest is a click away.
    Notification.info(
      trans.__(
        'Turbopilot indexes your notebooks. The index is in %1',
        memory.place.replace(/[\\/][^\\/]*$/, '')
      ),
      {
        autoClose: false,
        actions: [
          { label: trans.__('OK'), callback: () => undefined },
          {
            label: trans.__('Stop Using'),
            callback: () => {
              stop();
              void explain(memory); // the server still keeps it
            }
          },
          { label: trans.__('More…'), callback: () => void explain(memory) }
        ]
      }
    );
  });
}
