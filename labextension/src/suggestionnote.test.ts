import type { InlineCompleter } from '@jupyterlab/completer';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';
import type { Completers } from './completers';
import { describeCurrent, noteSuggestions } from './suggestionnote';

describe('noteSuggestions', () => {
  it('marks the editor while it shows ghost text of Turbopilot', () => {
    const marks = new Set<string>();
    const toggle = (name: string, on: boolean) => (on ? marks.add(name) : marks.delete(name));
    const owner = {};
    const suggestionsChanged = new Signal<object, void>(owner);
    const completer = {
      current: null as object | null,
      editor: { host: { classList: { toggle }, style: { setProperty: vi.fn() } } },
      model: { suggestionsChanged, filterTextChanged: new Signal<object, void>(owner) }
    };
    const created = new Signal<object, InlineCompleter>(owner);
    const cycled = new Signal<object, InlineCompleter>(owner);
    noteSuggestions({ created, cycled } as unknown as Completers, ['ours'], nullTranslator.load(''));
    created.emit(completer as unknown as InlineCompleter);

    const shown = (identifier: string): string[] => {
      completer.current = { provider: { identifier }, stream: new Signal<object, void>(owner) };
      suggestionsChanged.emit();
      return [...marks];
    };
    expect(shown('ours')).toEqual(['jp-mod-turbopilot-ours']);
    expect(shown('another')).toEqual([]);
    shown('ours');
    completer.current = null;
    suggestionsChanged.emit();
    expect(marks.size).toBe(0);
  });
});

describe('describeCurrent', () => {
  const first = {};
  const second = { imports: ['import math'] };

  it.each([
    [[first], first, ''],
    [[second], second, 'adds import math'],
    [[first, second], first, '1 of 2'],
    [[first, second], second, '2 of 2 · adds import math'],
    [[], undefined, '']
  ])('returns the number of the suggestion and its imports: %j', (items, current, note) => {
    const completer = { current, model: { completions: { items } } } as unknown as InlineCompleter;
    expect(describeCurrent(nullTranslator.load(''), completer)).toBe(note);
  });
});
