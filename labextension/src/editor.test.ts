import type { CodeEditor } from '@jupyterlab/codeeditor';
import { describe, expect, it, vi } from 'vitest';
import {
  deferWhileComposing,
  follow,
  hasSelectedText,
  inOneUndoStep,
  insertAtCursor,
  isAt,
  placeOf
} from './editor';

/** An editor of one line, `changes` and `moves` as it would tell of them. */
function bench(text: string, offset: number) {
  const log: unknown[] = [];
  const slots: Record<string, (sender: unknown, change: unknown) => void> = {};
  const signal = (name: string) => ({
    connect: (slot: (sender: unknown, change: unknown) => void) => (slots[name] = slot)
  });
  const view = {
    composing: false,
    dom: new EventTarget(),
    dispatch: (change: unknown) => log.push(change)
  };
  const state = { text, offset, disposed: false };
  const editor = {
    get isDisposed() {
      return state.disposed;
    },
    editor: view,
    getCursorPosition: () => state.offset,
    getOffsetAt: (position: number) => position,
    getSelections: () => [{ start: { line: 0, column: 1 }, end: { line: 0, column: state.offset } }],
    model: {
      selections: { changed: signal('moved') },
      sharedModel: {
        getSource: () => state.text,
        changed: signal('changed'),
        undoManager: { stopCapturing: () => log.push('step') }
      }
    }
  } as unknown as CodeEditor.IEditor;
  return { editor, view, state, log, slots };
}

describe('an editor', () => {
  it('is at a place until its text or its cursor changes, or it is gone', () => {
    const { editor, state } = bench('ab', 1);
    const place = placeOf(editor);
    expect(place).toEqual({ text: 'ab', offset: 1 });
    expect(isAt(editor, place)).toBe(true);
    expect(isAt(editor, { text: 'ab', offset: 2 })).toBe(false);
    state.text = 'xb';
    expect(isAt(editor, place)).toBe(false);
    state.text = 'ab';
    state.disposed = true;
    expect(isAt(editor, place)).toBe(false);
  });

  it('has selected text where a selection has two ends', () => {
    expect(hasSelectedText(bench('ab', 1).editor)).toBe(false);
    expect(hasSelectedText(bench('ab', 2).editor)).toBe(true);
  });

  it('takes what goes with an insertion further up in the same change', () => {
    const { editor, log } = bench('ab', 2);
    insertAtCursor(editor, 'xyz', { at: 0, text: 'import q\n' });
    expect(log).toMatchObject([
      {
        changes: [
          { from: 0, insert: 'import q\n' },
          { from: 2, insert: 'xyz' }
        ],
        selection: { anchor: 14 }
      }
    ]);
  });

  it('takes an insertion at the cursor, the cursor behind it, as a step of its own', () => {
    const { editor, log } = bench('ab', 1);
    inOneUndoStep(editor, () => insertAtCursor(editor, 'xyz'));
    expect(log).toMatchObject([
      'step',
      { changes: [{ from: 1, insert: 'xyz' }], selection: { anchor: 4 } },
      'step'
    ]);
  });

  it('that composes text is waited for, once', () => {
    const { editor, view } = bench('', 0);
    let done = 0;
    expect(deferWhileComposing(editor, () => done++)).toBe(false);
    view.composing = true;
    expect(deferWhileComposing(editor, () => done++)).toBe(true);
    view.dom.dispatchEvent(new Event('compositionend'));
    view.dom.dispatchEvent(new Event('compositionend'));
    expect(done).toBe(1);
  });

  it('that is followed tells of a moved cursor when it has settled, and of new lines', () => {
    vi.useFakeTimers();
    const { editor, slots } = bench('', 0);
    const log: string[] = [];
    follow(
      editor,
      () => log.push('moved'),
      () => log.push('line')
    );
    slots.changed(null, { sourceChange: [{ retain: 1 }, { insert: 'a' }] });
    slots.changed(null, { sourceChange: [{ insert: '\n    ' }] });
    slots.changed(null, {});
    slots.moved(null, null);
    expect(log).toEqual(['line']);
    vi.runAllTimers();
    expect(log).toEqual(['line', 'moved']);
    vi.useRealTimers();
  });
});
