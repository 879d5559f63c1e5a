import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { DisposableDelegate } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import { describe, expect, it } from 'vitest';
import { declineOf, type IMetadataModel, SwitchFollower, switchOf, toggleSwitch } from './decline';
import type { IDocument } from './document';
import { DEFAULTS } from './settings';

function editor({
  readOnly = false,
  cursors = 1,
  composing = false,
  commands = false
} = {}): CodeEditor.IEditor {
  return {
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
    ['on demand', editor({ commands: true }), ON_DEMAND],
    ['command mode', editor({ commands: true }), DEFAULTS]
  ])('declines an automatic request: %s', (decline, where, settings) => {
    expect(declineOf(where, document('a.py'), settings, switches, 'automatic')).toBe(decline);
    expect(declineOf(where, document('a.py'), settings, switches, 'invoke')).not.toBe(decline);
  });

  it('returns stopped for every document', () => {
    const stopped = { ...switches, stopped: true };
    expect(declineOf(editor(), document('exam.ipynb'), DEFAULTS, stopped, 'invoke')).toBe('stopped');
  });
});

/** A notebook with only its metadata. */
class Notebook {
  constructor(metadata: Record<string, unknown> = {}) {
    this._metadata = new Map(Object.entries(metadata));
  }

  get metadata(): unknown {
    return Object.fromEntries(this._metadata);
  }

  getMetadata(key: string): unknown {
    return this._metadata.get(key);
  }

  setMetadata(key: string, value: unknown): void {
    this._metadata.set(key, value);
    this.metadataChanged.emit(null);
  }

  deleteMetadata(key: string): void {
    this._metadata.delete(key);
    this.metadataChanged.emit(null);
  }

  readonly metadataChanged = new Signal<this, unknown>(this);
  private readonly _metadata: Map<string, unknown>;
}

const model = (notebook: Notebook) => notebook as unknown as IMetadataModel;

describe('switchOf', () => {
  it.each([
    ['enabled', undefined],
    ['enabled', {}],
    ['enabled', { enabled: true, other: 1 }],
    ['disabled', { enabled: false }],
    ['invalid', { enabled: 'false' }],
    ['invalid', { enabled: null }],
    ['invalid', { enabled: 0 }],
    ['invalid', false],
    ['invalid', null],
    ['invalid', ['enabled']]
  ])('returns %s for %j', (state, section) => {
    expect(switchOf({ getMetadata: () => section })).toBe(state);
  });

  it('is enabled for documents that are not notebooks', () => {
    expect(switchOf(null)).toBe('enabled');
  });
});

describe('toggleSwitch', () => {
  it('sets and removes only its own metadata', () => {
    const notebook = new Notebook({ kernelspec: { name: 'python3' } });
    toggleSwitch(model(notebook));
    expect(notebook.metadata).toEqual({ kernelspec: { name: 'python3' }, turbopilot: { enabled: false } });
    toggleSwitch(model(notebook));
    expect(notebook.metadata).toEqual({ kernelspec: { name: 'python3' } });
  });

  it('keeps other fields of the section', () => {
    const notebook = new Notebook({ turbopilot: { note: 'exam', enabled: false } });
    toggleSwitch(model(notebook));
    expect(notebook.metadata).toEqual({ turbopilot: { note: 'exam' } });
  });

  it.each([[false], ['off'], [{ enabled: 'no' }]])('removes the invalid section %j', section => {
    const notebook = new Notebook({ turbopilot: section });
    toggleSwitch(model(notebook));
    expect(notebook.metadata).toEqual({});
  });
});

describe('SwitchFollower', () => {
  /** Follow the notebooks that `open` opens. */
  function follow() {
    const extensions: DocumentRegistry.WidgetExtension[] = [];
    const addWidgetExtension = (_: string, one: DocumentRegistry.WidgetExtension) => {
      extensions.push(one);
      return new DisposableDelegate(() => undefined);
    };
    const states: string[] = [];
    const follower = new SwitchFollower({ addWidgetExtension }, (_, state) => states.push(state));
    const open = async (notebook: Notebook): Promise<void> => {
      const context = { ready: Promise.resolve(), model: notebook };
      extensions.forEach(one => one.createNew({} as never, context as never));
      await context.ready;
    };
    return { follower, open, states };
  }

  it('reports the state once and after each change', async () => {
    const { open, states } = follow();
    const notebook = new Notebook({ turbopilot: { enabled: 'no' } });
    await open(notebook);
    await open(notebook); // in a second view
    notebook.setMetadata('language_info', { name: 'python' });
    toggleSwitch(model(notebook));
    toggleSwitch(model(notebook));
    expect(states).toEqual(['invalid', 'enabled', 'disabled']);
  });

  it('reports invalid metadata once for each notebook, also of a restored tab', async () => {
    const { follower, open } = follow();
    const notebook = new Notebook({ turbopilot: { enabled: 'no' } });
    await open(notebook);
    expect(follower.becameInvalid(null)).toBe(false);
    expect([1, 2].map(() => follower.becameInvalid(model(notebook)))).toEqual([true, false]);
    toggleSwitch(model(notebook));
    notebook.setMetadata('turbopilot', false);
    toggleSwitch(model(notebook));
    expect(follower.becameInvalid(model(notebook))).toBe(false);
  });
});
