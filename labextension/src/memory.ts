/** The index of the user’s own notebooks: its state in words, and a notification, once for each folder, that it is kept. */

import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IMemory } from './wire';

/** Say how far the index is. */
export function describeMemory(trans: TranslationBundle, memory: IMemory | null): string {
  if (!memory) {
    return trans.__('no index is kept');
  }
  if (memory.trouble) {
    return trans.__('no index: %1', memory.trouble);
  }
  if (!memory.building) {
    return trans._n('%1 file indexed', '%1 files indexed', memory.files);
  }
  switch (memory.paused) {
    case 'kernel':
      return trans.__('%1 of %2 files indexed, paused while a kernel is busy', memory.files, memory.of);
    case 'battery':
      return trans.__('%1 of %2 files indexed, paused on battery', memory.files, memory.of);
    default:
      return trans.__('indexing: %1 of %2 files', memory.files, memory.of);
  }
}

/** Where this browser notes of which folders the person was told. */
const TOLD = 'jupyter-turbopilot:memory-told';
const MOST_TOLD = 64;

function told(): string[] {
  try {
    const noted: unknown = JSON.parse(localStorage.getItem(TOLD) ?? '[]');
    return Array.isArray(noted) ? noted.map(String) : [];
  } catch {
    return []; // a browser without storage tells it each time
  }
}

function note(roots: string[]): void {
  try {
    localStorage.setItem(TOLD, JSON.stringify(roots.slice(-MOST_TOLD)));
  } catch {
    // It is told once more, then.
  }
}

/** Explain the index; return whether the user wants it unused. */
async function showMore(
  trans: TranslationBundle,
  { root, place }: IMemory,
  isUsed: boolean
): Promise<boolean> {
  const use = isUsed
    ? trans.__('Switch off “Use my other notebooks” in the settings to leave it unused.')
    : trans.__('It is not used from now on; “Use my other notebooks” in the settings switches it on again.');
  const stop = trans.__('Do Not Use It');
  const { button } = await showDialog({
    title: trans.__('Index of Your Notebooks'),
    body: trans.__(
      'The server keeps an index of the notebooks and source files in %1, so that suggestions can come from what you wrote before. It is stored in %2, where only you can read it. %3 Set c.Turbopilot.memory = False in the server’s configuration to keep no index. “jupyter turbopilot memory clear” empties it.',
      root,
      place,
      use
    ),
    buttons: isUsed ? [Dialog.cancelButton({ label: stop }), Dialog.okButton()] : [Dialog.okButton()]
  });
  return button.label === stop; // Escape is a cancel button of another label
}

/** Tell the person once for each folder that an index is kept, where, and how to stop it. */
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
        'Turbopilot keeps an index of your notebooks. It is in %1',
        memory.place.replace(/[\\/][^\\/]*$/, '')
      ),
      {
        autoClose: false,
        actions: [
          { label: trans.__('OK'), callback: () => undefined },
          {
            label: trans.__('Do Not Use It'),
            callback: () => {
              stop();
              void explain(memory); // it is still kept
            }
          },
          { label: trans.__('More…'), callback: () => void explain(memory) }
        ]
      }
    );
  });
}
