import type { CodeEditor } from '@jupyterlab/codeeditor';
import { describe, expect, it } from 'vitest';
import { declineOf } from './decline';
import type { IDocument } from './document';
import { DEFAULTS } from './settings';

function editor({
  readOnly = false,
  cursors = 1,
  focused = true,
  composing = false
} = {}): CodeEditor.IEditor {
  return {
    hasFocus: () => focused,
    editor: { composing },
    getOption: (name: string) => name === 'readOnly' && readOnly,
    getSelections: () => Array.from({ length: cursors }, () => ({}))
  } as unknown as CodeEditor.IEditor;
}

const document = (path: string, here = 'python') => ({ path, here }) as IDocument;
const snoozed = new Set(['b.py']);
const ON_DEMAND = { ...DEFAULTS, mode: 'on demand' } as const;

describe('a request is declined', () => {
  it.each([
    [null, editor(), document('a.py'), DEFAULTS],
    ['off', editor(), document('b.py'), { ...DEFAULTS, enabled: false }],
    ['snoozed', editor({ readOnly: true }), document('b.py'), DEFAULTS],
    ['read-only', editor({ readOnly: true }), document('.env'), DEFAULTS],
    ['language', editor(), document('a.ipynb', 'Markdown'), DEFAULTS],
    ['private', editor({ cursors: 2 }), document('.env'), DEFAULTS],
    ['cursors', editor({ cursors: 2 }), document('a.py'), ON_DEMAND],
    ['composing', editor({ composing: true }), document('a.py'), DEFAULTS]
  ])('for each trigger: %s', (decline, where, what, settings) => {
    for (const trigger of ['automatic', 'invoke'] as const) {
      expect(declineOf(where, what, settings, snoozed, trigger)).toBe(decline);
    }
  });

  it.each([
    ['on demand', editor({ focused: false }), ON_DEMAND],
    ['unfocused', editor({ focused: false, composing: true }), DEFAULTS]
  ])('if it is automatic: %s', (decline, where, settings) => {
    expect(declineOf(where, document('a.py'), settings, snoozed, 'automatic')).toBe(decline);
    expect(declineOf(where, document('a.py'), settings, snoozed, 'invoke')).not.toBe(decline);
  });
});
