import type { CodeEditor } from '@jupyterlab/codeeditor';
import { describe, expect, it } from 'vitest';
import { declineOf } from './decline';
import type { IDocument } from './document';
import { DEFAULTS } from './settings';

function editor({
  readOnly = false,
  cursors = 1,
  focused = true,
  composing = false,
  commands = false
} = {}): CodeEditor.IEditor {
  return {
    hasFocus: () => focused,
    editor: { composing, dom: { querySelector: () => (commands ? {} : null) } },
    getOption: (name: string) => name === 'readOnly' && readOnly,
    getSelections: () => Array.from({ length: cursors }, () => ({}))
  } as unknown as CodeEditor.IEditor;
}

const document = (path: string, here = 'python', notebookSwitch = 'enabled') =>
  ({ path, here, notebookSwitch }) as IDocument;
const switches = {
  stopped: false,
  paused: new Set(['b.py']),
  denied: new Map([['exam.ipynb', { kernel: null, message: 'Off.', at: 0 }]])
};
const ON_DEMAND = { ...DEFAULTS, mode: 'on demand' } as const;

describe('declineOf', () => {
  it.each([
    [null, editor(), document('a.py'), DEFAULTS],
    ['off', editor(), document('b.py'), { ...DEFAULTS, enabled: false }],
    ['denied', editor(), document('exam.ipynb', 'python', 'disabled'), DEFAULTS],
    ['disabled in notebook', editor(), document('b.py', 'python', 'disabled'), DEFAULTS],
    ['invalid metadata', editor(), document('a.ipynb', 'python', 'invalid'), DEFAULTS],
    ['paused', editor({ readOnly: true }), document('b.py'), DEFAULTS],
    ['read-only', editor({ readOnly: true, cursors: 2 }), document('a.py'), DEFAULTS],
    ['language', editor(), document('a.ipynb', 'Markdown'), DEFAULTS],
    ['private', editor({ cursors: 2 }), document('.env'), DEFAULTS],
    ['cursors', editor({ cursors: 2 }), document('a.py'), ON_DEMAND],
    ['composing', editor({ composing: true }), document('a.py'), DEFAULTS]
  ])('declines with any trigger: %s', (decline, where, what, settings) => {
    for (const trigger of ['automatic', 'invoke'] as const) {
      expect(declineOf(where, what, settings, switches, trigger)).toBe(decline);
    }
  });

  it.each([
    ['on demand', editor({ focused: false }), ON_DEMAND],
    ['command mode', editor({ commands: true, focused: false }), DEFAULTS],
    ['unfocused', editor({ focused: false, composing: true }), DEFAULTS]
  ])('declines an automatic request: %s', (decline, where, settings) => {
    expect(declineOf(where, document('a.py'), settings, switches, 'automatic')).toBe(decline);
    expect(declineOf(where, document('a.py'), settings, switches, 'invoke')).not.toBe(decline);
  });

  it('returns stopped for every document', () => {
    const stopped = { ...switches, stopped: true };
    expect(declineOf(editor(), document('exam.ipynb'), DEFAULTS, stopped, 'invoke')).toBe('stopped');
  });
});
