/** The index of the person's own notebooks, in words. */

import type { TranslationBundle } from '@jupyterlab/translation';
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
