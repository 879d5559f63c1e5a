import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';
import { describeMemory } from './memory';
import type { IMemory } from './wire';

const TRANS = nullTranslator.load('');
const MEMORY: IMemory = {
  building: false,
  files: 12,
  of: 12,
  paused: null,
  root: '/home/ada',
  place: '/home/ada/.local/share/x.db',
  trouble: null
};

describe('the index of the notebooks', () => {
  it('is described in a few words', () => {
    expect(describeMemory(TRANS, MEMORY)).toBe('12 files indexed');
    expect(describeMemory(TRANS, { ...MEMORY, files: 1 })).toBe('1 file indexed');
    const building = { ...MEMORY, building: true, files: 3 };
    expect(describeMemory(TRANS, building)).toBe('indexing: 3 of 12 files');
    expect(describeMemory(TRANS, { ...building, paused: 'kernel' })).toBe(
      '3 of 12 files indexed, paused while a kernel is busy'
    );
    expect(describeMemory(TRANS, { ...building, paused: 'battery' })).toBe(
      '3 of 12 files indexed, paused on battery'
    );
    expect(describeMemory(TRANS, { ...MEMORY, trouble: 'No space left' })).toBe('no index: No space left');
    expect(describeMemory(TRANS, null)).toBe('no index is kept');
  });
});
