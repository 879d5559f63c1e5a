/** The index of the person's own notebooks, in words. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { IMemory } from './wire';

/** Say how far the index is. */
export function describeMemory(trans: TranslationBundle, memory: IMemory | null): string {
  if (!memory) {
    return trans.__('no index is kept');
  }
  if (memory.trouble) {
    return trans.__('none: %1', memory.trouble);
  }
  return memory.building
    ? trans.__('reading them: %1 of %2', memory.files, memory.of)
    : trans._n('%1 file is known', '%1 files are known', memory.files);
}
