import type { CodeEditor } from '@jupyterlab/codeeditor';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  afterComposing,
  follow,
  hasSelectedText,
  type IGhost,
  isAt,
  isOnBlankLine,
  positionOf,
  revealGhost,
  scrollBack,
  whenUnchanged
} from './editor';

/** An editor with one line; its signals are emitted through `slots`. */
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

describe('editor helpers', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('isAt holds until the text or the cursor changes or the editor is disposed', () => {
    const { editor, state } = bench('ab', 1);
    const position = positionOf(editor);
    expect(position).toEqual({ text: 'ab', offset: 1 });
    expect(isAt(editor, position)).toBe(true);
    expect(isAt(editor, { text: 'ab', offset: 2 })).toBe(false);
    state.text = 'xb';
    expect(isAt(editor, position)).toBe(false);
    state.text = 'ab';
    state.disposed = true;
    expect(isAt(editor, position)).toBe(false);
  });

  it('hasSelectedText requires a selection with two ends', () => {
    expect(hasSelectedText(bench('ab', 1).editor)).toBe(false);
    expect(hasSelectedText(bench('ab', 2).editor)).toBe(true);
  });

  it('follow reports settled cursor movements and new lines', () => {
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
  ])('isOnBlankLine at the end of %j: %s', (text, isBlank) => {
    expect(isOnBlankLine(bench(text, text.length).editor)).toBe(isBlank);
  });

  it.each([
    ['an EditContext', true],
    ['a content element', false]
  ])('afterComposing calls back once for each composition in %s', (_, isContext) => {
    const target = new EventTarget();
    const contentDOM = isContext ? { editContext: target } : target;
    const editor = { editor: { contentDOM } } as unknown as CodeEditor.IEditor;
    const then = vi.fn();
    for (const compositions of [1, 2]) {
      afterComposing(editor, then);
      afterComposing(editor, then);
      afterComposing(editor, () => void then());
      target.dispatchEvent(new Event('compositionend'));
      target.dispatchEvent(new Event('compositionend'));
      expect(then).toHaveBeenCalledTimes(compositions);
    }
  });

  it.each([
    ['nothing', {}, 1],
    ['a keystroke', { text: 'xy' }, 0],
    ['a change of focus', { focused: false }, 0],
    ['its removal', { disposed: true }, 0]
  ])('whenUnchanged after %s: %j', (_, change, calls) => {
    const { editor, state } = bench('x', 1);
    const then = vi.fn();
    whenUnchanged(editor, 10, then);
    Object.assign(state, change);
    vi.advanceTimersByTime(10);
    expect(then).toHaveBeenCalledTimes(calls);
  });
});

describe('revealGhost', () => {
  const HEIGHT = 20;
  const WIDTH = 8;
  const NUMBERS = 30;
  const SHOWN = 600;

  /** A line of this height at a position in a document of which a window of `shown` pixels is visible. */
  function page(at: number, height: number, shown: number, scrollTop: number) {
    const box = {
      scrollHeight: 1000 + height,
      clientHeight: shown,
      clientTop: 0,
      scrollTop,
      parentElement: null,
      getBoundingClientRect: () => ({ top: 0 })
    };
    const top = () => at - box.scrollTop;
    const line = { parentElement: box, getBoundingClientRect: () => ({ bottom: top() + height, left: 0 }) };
    // A first word that does not fit beside the cursor is on the next line.
    const text = { getClientRects: () => [{ top: top() + HEIGHT, left: 0, right: WIDTH }] };
    const cursor = () => ({ top: top(), bottom: top() + HEIGHT });
    const { box: scroller } = row(0, 0, 0);
    return { box, top, ghost: { line, text, scroller, cursor, characterWidth: WIDTH } as unknown as IGhost };
  }

  /** An editor with line numbers that shows a line, with the cursor and `length` characters of ghost text. */
  function row(column: number, length: number, scrollLeft: number) {
    const box = {
      scrollLeft,
      clientLeft: 1,
      clientWidth: SHOWN,
      parentElement: null,
      getBoundingClientRect: () => ({ left: -1 })
    };
    const state = { column };
    const left = () => NUMBERS + state.column * WIDTH - box.scrollLeft;
    const line = { parentElement: null, getBoundingClientRect: () => ({ left: NUMBERS - box.scrollLeft }) };
    const text = { getClientRects: () => [{ left: left(), right: left() + length * WIDTH }] };
    const cursor = () => ({ left: left(), right: left() });
    const editor = {
      editor: { scrollDOM: box },
      getCursorPosition: () => null,
      getCoordinateForPosition: cursor
    };
    const ghost = { line, text, scroller: box, cursor, characterWidth: WIDTH };
    return {
      box,
      state,
      left,
      ghost: ghost as unknown as IGhost,
      editor: editor as unknown as CodeEditor.IEditor
    };
  }

  const number = (min: number, max: number) => fc.integer({ min, max });

  it('scrolls as little as possible, and only while the cursor is and stays visible', () => {
    vi.stubGlobal('getComputedStyle', () => ({ overflowY: 'auto' }));
    fc.assert(
      fc.property(
        number(0, 1000),
        number(HEIGHT, 600),
        number(100, 300),
        number(0, 800),
        (at, height, shown, scrollTop) => {
          const { box, top, ghost } = page(at, height, shown, scrollTop);
          const isVisible = () => top() >= 0 && top() + HEIGHT <= shown;
          const wasVisible = isVisible();
          revealGhost(ghost);
          const by = box.scrollTop - scrollTop;
          const hidden = top() + height - shown;
          expect(isVisible()).toBe(wasVisible);
          if (wasVisible) {
            // All of it is visible, or the cursor is at the top.
            expect(hidden <= 0 || top() === 0).toBe(true);
            expect(by === 0 || (by > 0 && hidden >= 0)).toBe(true);
          } else {
            expect(by).toBe(0);
          }
        }
      )
    );
    vi.unstubAllGlobals();
  });

  it('scrolls up to 40 characters beside the cursor into view, and back, while the cursor is visible', () => {
    fc.assert(
      fc.property(
        number(0, 200),
        number(1, 100),
        number(0, 1500),
        number(0, 100),
        (column, length, scrollLeft, typed) => {
          const { box, state, left, ghost, editor } = row(column, length, scrollLeft);
          const isVisible = () => left() >= NUMBERS && left() <= SHOWN;
          const wasVisible = isVisible();
          revealGhost(ghost);
          revealGhost(ghost);
          const by = box.scrollLeft - scrollLeft;
          if (wasVisible) {
            const room = SHOWN - left() - Math.min(length, 40) * WIDTH;
            expect(isVisible() && (by === 0 ? room >= 0 : by > 0 && room === 0)).toBe(true);
          } else {
            expect(by).toBe(0);
          }
          const at = box.scrollLeft;
          state.column += typed;
          const needed = left() + 5 - SHOWN;
          scrollBack(editor);
          expect(box.scrollLeft).toBe((by && Math.min(at, Math.max(scrollLeft, at + needed))) || at);
          box.scrollLeft = 2000; // by the user
          scrollBack(editor);
          expect(box.scrollLeft).toBe(2000);
        }
      )
    );
  });

  it('scrolls back to the position before the first of several texts', () => {
    const { box, state, ghost, editor } = row(68, 100, 0);
    for (; state.column < 70; state.column++) {
      revealGhost(ghost);
    }
    expect(box.scrollLeft).toBeGreaterThan(0);
    scrollBack(editor);
    expect(box.scrollLeft).toBe(0);
  });

  it('leaves code before the cursor visible in a narrow editor', () => {
    const { box, left, ghost } = row(20, 100, 0);
    box.clientWidth = 200;
    revealGhost(ghost);
    expect(left()).toBeGreaterThan(NUMBERS + 4 * WIDTH);
  });
});
