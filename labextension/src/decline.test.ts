import type { CodeEditor } from '@jupyterlab/codeeditor';
import { describe, expect, it } from 'vitest';
import { declineOf } from './decline';
import type { IDocument } from './document';
import { DEFAULTS } from './settings';

function editor({ readOnly = false, cursors = 1 } = {}): CodeEditor.IEditor {
  return {
    getOption: (name: string) => name === 'readOnly' && readOnly,
    getSelections: () => Array.from({ length: cursors }, () => ({}))
  } as unknown as CodeEditor.IEditor;
}

const document = (path: string, here = 'python') => ({ path, here }) as IDocument;
const snoozed = new Set(['b.py']);

describe('what is declined', () => {
  it.each([
    [null, editor(), document('a.py'), DEFAULTS],
    ['off', editor(), document('b.py'), { ...DEFAULTS, enabled: false }],
    ['snoozed', editor({ readOnly: true }), document('b.py'), DEFAULTS],
    ['read-only', editor({ readOnly: true }), document('.env'), DEFAULTS],
    ['language', editor(), document('a.ipynb', 'Markdown'), DEFAULTS],
    ['private', editor({ cursors: 2 }), document('.env'), DEFAULTS],
    ['cursors', editor({ cursors: 2 }), document('a.py'), DEFAULTS]
  ])('%s', (decline, where, what, settings) => {
    expect(declineOf(where, what, settings, snoozed)).toBe(decline);
  });
});
