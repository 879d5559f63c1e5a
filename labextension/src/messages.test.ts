import { nullTranslator } from '@jupyterlab/translation';
import { expect, it } from 'vitest';
import type { INotebookIndex } from './wire';
import { describeIndex } from './messages';

const TRANS = nullTranslator.load('');
const INDEX: INotebookIndex = {
  building: false,
  files: 12,
  found: 12,
  paused: null,
  root: '/home/ada',
  place: '/home/ada/.local/share/x.db',
  error: null
};

it.each<[string, Partial<INotebookIndex>]>([
  ['12 files', {}],
  ['1 file', { files: 1 }],
  ['indexing, 3 of 12 files', { building: true, files: 3 }],
  ['3 of 12 files, paused while a kernel is busy', { building: true, files: 3, paused: 'kernel' }],
  ['3 of 12 files, paused on battery power', { building: true, files: 3, paused: 'battery' }],
  ['not available (No space left)', { error: 'No space left' }]
])('describeIndex returns "%s"', (text, change) => {
  expect(describeIndex(TRANS, { ...INDEX, ...change })).toBe(text);
});

it('describeIndex reports a missing index', () => {
  expect(describeIndex(TRANS, null)).toBe('not available');
});
