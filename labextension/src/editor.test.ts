import type { CodeEditor } from '@jupyterlab/codeeditor';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { follow, hasSelectedText, isAt, isOnBlankLine, placeOf, whenUnchanged } from './editor';

/** An editor of one line, `changes` and `moves` as it would tell of them. */
function bench(text: string, offset: number) {
  const slots: Record<string, (sender: unknown, change: unknown) => void> = {};
  const signal = (name: string) => ({
    connect: (slot: (sender: unknown, change: unknown) => void) => (slots[name] = slot)
  });
  const state = { text, offset, disposed: false, focused: true };
  const editor = {
    get isDisposed() {
      return state.disposed;
    },
    hasFocus: () => state.focused,
    getCursorPosition: () => state.offset,
    getOffsetAt: (position: number) => position,
    getSelections: () => [{ start: { line: 0, column: 1 }, end: { line: 0, column: state.offset } }],
    model: {
      selections: { changed: signal('moved') },
      sharedModel: {
        getSource: () => state.text,
        changed: signal('changed')
      }
    }
  } as unknown as CodeEditor.IEditor;
  return { editor, state, slots };
}

describe('an editor', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

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

  it('reports cursor movements once they settle, and new lines', () => {
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
  });

  it.each([
    ['def f():\n    ', true],
    ['def f():\n    x', false],
    ['\n  ', false],
    ['x ', false]
  ])('is on a blank line below code at the end of %j: %s', (text, isBlank) => {
    expect(isOnBlankLine(bench(text, text.length).editor)).toBe(isBlank);
  });

  it.each([
    ['nothing', {}, 1],
    ['a key', { text: 'xy' }, 0],
    ['a change of focus', { focused: false }, 0],
    ['its removal', { disposed: true }, 0]
  ])('is unchanged after %s: %j', (_, change, calls) => {
    const { editor, state } = bench('x', 1);
    const then = vi.fn();
    whenUnchanged(editor, 10, then);
    Object.assign(state, change);
    vi.advanceTimersByTime(10);
    expect(then).toHaveBeenCalledTimes(calls);
  });
});
