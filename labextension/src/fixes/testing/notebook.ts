/** A notebook with the components that offers use, without widgets. */

import { YNotebook } from '@jupyter/ydoc';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { vi } from 'vitest';
import { DEFAULTS } from '../../settings';
import type { EditFollower } from '../edits';
import type { IParts } from '../notebook';
import { Offers } from '../offers';

/** Open a notebook. Announcements, notices and cursor positions are appended to `log`. */
export function openNotebook(sources: readonly string[], log: string[] = []) {
  const notebook = YNotebook.create({ disableDocumentWideUndoRedo: true });
  notebook.insertCells(
    0,
    sources.map(source => ({ cell_type: 'code', source }))
  );
  const node = Object.assign(new EventTarget(), { classList: { toggle: () => undefined } });
  const fakeEditor = (sharedModel: (typeof notebook.cells)[number]) => ({
    model: { sharedModel },
    getCursorPosition: () => 0,
    getOffsetAt: (position: number) => position,
    getPositionAt: (offset: number) => offset,
    setCursorPosition: (offset: number) => log.push(`cursor ${offset}`),
    focus: () => undefined
  });
  const widgets = notebook.cells.map((sharedModel, index) => ({
    model: { id: `${index}`, type: 'code', sharedModel, executionCount: null as number | null },
    isDisposed: false,
    readOnly: false,
    ready: Promise.resolve(),
    node,
    editor: fakeEditor(sharedModel)
  }));
  const model = {
    cells: Object.assign(
      widgets.map(widget => widget.model),
      { changed: new Signal({}) }
    ),
    getMetadata: () => undefined
  };
  const kernel = { id: 'kernel', connectionStatus: 'connected' };
  const panel = {
    id: 'panel',
    node,
    disposed: new Signal<object, unknown>({}),
    context: { path: 'a.ipynb', model },
    sessionContext: { session: { kernel } },
    content: { model, widgets, node, mode: 'edit', activeCellIndex: 0, scrollToItem: () => Promise.resolve() }
  };
  return { notebook, panel, kernel };
}

/** Return the components that all kinds of offers use, with a client that sends the feedback to `sent`. */
export function partsOf(client: object, sent: string[], log: string[]) {
  const edits = {
    edited: new Signal<object, unknown>({}),
    undone: new Signal<object, unknown>({}),
    refocused: new Signal<object, unknown>({}),
    settled: new Signal<object, unknown>({}),
    apply: (change: Parameters<EditFollower['apply']>[0]) => change(),
    reset: vi.fn()
  };
  const parts = {
    client: {
      ...client,
      feedback: ({ id, event }: { id: string; event: string }) => sent.push(`${id} ${event}`)
    },
    completers: { rendered: new Signal<object, unknown>({}) },
    availability: { state: {} as { health?: { fixes: boolean } } },
    preferences: { current: DEFAULTS },
    switches: { stopped: false, paused: new Set(), denied: new Set() },
    edits,
    offers: new Offers(),
    live: { say: (text: string) => log.push(text) },
    notice: { brief: (text: string) => log.push(text) },
    trans: nullTranslator.load(''),
    shortcut: (isForAll = false) => (isForAll ? 'Alt+Shift+.' : 'Alt+.')
  };
  return { edits, fakes: parts, parts: parts as unknown as IParts };
}
