/** The index of the person's own notebooks: how it is, in words, and a notification, once, that it is kept. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Availability } from './availability';
import type { IMemory } from './wire';

/** Where this browser notes of which folders the person was told. */
const TOLD = 'jupyter-turbopilot:memory-told';
const MOST_TOLD = 64;

/** Say how far the index is. */
export function describeMemory(trans: TranslationBundle, memory: IMemory | null): string {
  if (!memory) {
    return trans.__('no index is kept');
  }
  if (memory.trouble) {
    return trans.__('not available');
  }
  return memory.building
    ? trans.__('reading them: %1 of %2', memory.files, memory.of)
    : trans._n('%1 file is known', '%1 files are known', memory.files);
}

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

/** Tell the person once for each folder that an index is kept, where, and how to stop it. */
export function tellOfMemory(
  availability: Availability,
  trans: TranslationBundle,
  isUsed: () => boolean,
  stop: () => unknown
): void {
  let done = '';
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
    Notification.info(
      trans.__(
        'Turbopilot keeps an index of the notebooks and source files in %1, so that suggestions can come from what you wrote before. It is in %2, and only you can read it. Nothing is kept with c.Turbopilot.memory = False in the server’s configuration.',
        memory.root,
        memory.place
      ),
      {
        autoClose: false,
        actions: [
          { label: trans.__('OK'), callback: () => undefined },
          { label: trans.__('Do not use it'), callback: () => void stop() }
        ]
      }
    );
  });
}
