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
    const completer = {
      current: null as object | null,
      editor: { host: { classList: { toggle }, style: { setProperty: vi.fn() } } },
      node: { classList: { toggle: vi.fn() }, dataset: { display: 'onHover' } }
    };
    const rendered = new Signal<object, InlineCompleter>(owner);
    const cycled = new Signal<object, InlineCompleter>(owner);
    vi.stubGlobal('window', new EventTarget());
    vi.stubGlobal('document', new EventTarget());
    vi.stubGlobal('requestAnimationFrame', () => undefined);
    const completers = { rendered, cycled } as unknown as Completers;
    noteSuggestions(completers, ['ours'], nullTranslator.load(''), () => '');

    const shown = (current: object | null): string[] => {
      completer.current = current;
      rendered.emit(completer as unknown as InlineCompleter);
      return [...marks];
    };
    const ours = { provider: { identifier: 'ours' } };
    expect(shown(ours)).toEqual(['jp-mod-turbopilot-ours']);
    expect(shown({ provider: { identifier: 'another' } })).toEqual([]);
    shown(ours);
    expect(shown(null)).toEqual([]);
    // The toolbar that is always displayed takes the position of a note.
    completer.node.dataset.display = 'always';
    expect(shown(ours)).toEqual(['jp-mod-turbopilot-ours', 'jp-mod-turbopilot-noted']);
    vi.unstubAllGlobals();
  });
});

describe('the hint of a single suggestion', () => {
  it('appears after the user has asked for another, and follows their generation', () => {
    const owner = {};
    const setProperty = vi.fn<(name: string, value: string) => void>();
    const items = [{ provider: { identifier: 'ours' } }];
    const completer = {
      current: items[0] as object,
      editor: { host: { classList: { toggle: vi.fn() }, style: { setProperty } } },
      model: { completions: { items } },
      node: { classList: { toggle: vi.fn() }, dataset: {} }
    };
    const rendered = new Signal<object, InlineCompleter>(owner);
    const cycled = new Signal<object, InlineCompleter>(owner);
    vi.stubGlobal('window', new EventTarget());
    vi.stubGlobal('document', new EventTarget());
    vi.stubGlobal('requestAnimationFrame', () => undefined);
    const shown = completer as unknown as InlineCompleter;
    const completers = { rendered, cycled, active: shown } as unknown as Completers;
    let hint = 'Generating…';
    const update = noteSuggestions(completers, ['ours'], nullTranslator.load(''), () => hint);
    const note = () => setProperty.mock.lastCall?.[1];

    rendered.emit(shown);
    expect(note()).toBe('""');
    cycled.emit(shown);
    expect(note()).toBe('"Generating…"');
    hint = 'None';
    update();
    expect(note()).toBe('"None"');
    items.push({ provider: { identifier: 'ours' } });
    rendered.emit(shown);
    expect(note()).toBe('"1 of 2"');
    items.pop();
    completer.current = items[0] = { provider: { identifier: 'ours' } };
    rendered.emit(shown);
    expect(note()).toBe('""');
    vi.unstubAllGlobals();
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
