import type { CodeEditor } from '@jupyterlab/codeeditor';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type IOptions, SelfTrigger } from './selftrigger';

/** Ask in an editor with a text; `meanwhile` happens before the delay is over. */
function ask(text: string, options: IOptions, meanwhile: (state: { text: string; focus: boolean }) => void) {
  const state = { text, focus: true };
  const editor = {
    isDisposed: false,
    hasFocus: () => state.focus,
    getCursorPosition: () => state.text.length,
    getOffsetAt: (position: number) => position,
    model: { sharedModel: { getSource: () => state.text } }
  } as unknown as CodeEditor.IEditor;
  const taken: boolean[] = [];
  const trigger = new SelfTrigger(() => taken.push(trigger.take()));
  trigger.askSoon(editor, { delay: 10, ...options });
  meanwhile(state);
  vi.advanceTimersByTime(10);
  expect(trigger.take()).toBe(false);
  return taken;
}

const nothing = () => undefined;

describe('what is asked without the person', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is told from what they asked, now or earlier', () => {
    expect(ask('x', {}, nothing)).toEqual([true]);
    expect(ask('x', { invoked: true }, nothing)).toEqual([false]);
  });

  it('is asked neither after another key nor where the focus has gone', () => {
    expect(ask('x', {}, state => (state.text = 'xy'))).toEqual([]);
    expect(ask('x', {}, state => (state.focus = false))).toEqual([]);
  });

  it.each([
    ['def f():\n    ', 1],
    ['def f():\n    x', 0],
    ['\n  ', 0],
    ['x ', 0]
  ])('on a blank line only, behind code: %j', (text, count) => {
    expect(ask(text, { blank: true }, nothing)).toHaveLength(count);
  });
});
