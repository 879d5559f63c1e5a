import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IInlineCompleterFactory, InlineCompleter } from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';

vi.mock('@jupyterlab/completer', () => ({ InlineCompleter: vi.fn() }));

import { Completers } from './completers';

/** A completer as JupyterLab creates it, tracked by `completers`. */
function bench(...texts: string[]) {
  const owner = {};
  const cycle = vi.fn();
  const menu = { isOpen: false };
  const items = texts.map(insertText => ({ insertText, stream: new Signal<object, void>(owner) }));
  const completer = {
    isActive: true,
    suppressIfTabCompleterActive: true,
    current: items.at(0),
    editor: { host: { classList: { contains: () => menu.isOpen } } },
    model: {
      completions: { items },
      reset: vi.fn(),
      setCompletions: vi.fn(),
      suggestionsChanged: new Signal<object, void>(owner),
      filterTextChanged: new Signal<object, void>(owner),
      appendCompletions: vi.fn()
    },
    disposed: new Signal<object, void>(owner),
    cycle
  };
  const factory = { factory: () => completer } as unknown as IInlineCompleterFactory;
  const completers = new Completers();
  completers.wrap(factory);
  factory.factory({});
  return {
    completers,
    completer: completer as unknown as InlineCompleter,
    model: completer.model,
    editor: completer.editor as unknown as CodeEditor.IEditor,
    items,
    menu,
    cycle
  };
}

describe('Completers', () => {
  it('dismiss removes ghost text after the editor’s update has ended', async () => {
    const { completers, model } = bench();
    completers.dismiss();
    expect(model.reset).not.toHaveBeenCalled();
    await Promise.resolve();
    expect(model.reset).toHaveBeenCalledOnce();
  });

  it('emits cycled after the completer shows another suggestion', () => {
    const { completers, completer, cycle } = bench();
    const seen: [InlineCompleter, number][] = [];
    completers.cycled.connect((_, one) => seen.push([one, cycle.mock.calls.length]));
    completer.cycle('next');
    expect(seen).toEqual([[completer, 1]]);
    expect(cycle).toHaveBeenCalledWith('next');
  });

  it('emit rendered for each text that a completer shows', () => {
    const { completers, completer, model, items } = bench('a', 'b');
    const rendered = vi.fn();
    completers.rendered.connect(rendered);
    model.suggestionsChanged.emit();
    items[0].stream.emit();
    model.filterTextChanged.emit();
    completer.cycle('next');
    expect(rendered.mock.calls).toEqual(Array.from({ length: 4 }, () => [completers, completer]));
  });

  it.each([
    [['a', '', 'b'], 0, [['a', 'b']]],
    [['', ''], 1, []],
    [['a'], 0, []]
  ])('remove suggestions that were typed in full: %j', async (texts, resets, left) => {
    const { model } = bench(...texts);
    model.filterTextChanged.emit();
    expect(model.setCompletions).not.toHaveBeenCalled();
    await new Promise(resolve => setTimeout(resolve, 0));
    expect(model.reset).toHaveBeenCalledTimes(resets);
    const set = model.setCompletions.mock.calls as [{ items: { insertText: string }[] }][];
    expect(set.map(([{ items }]) => items.map(({ insertText }) => insertText))).toEqual(left);
  });

  it('isSuppressed is true while the completion menu of the editor is open', () => {
    const { completers, completer, editor, menu } = bench();
    expect(completers.isSuppressed(editor)).toBe(false);
    menu.isOpen = true;
    expect(completers.isSuppressed(editor)).toBe(true);
    expect(completers.isSuppressed({} as CodeEditor.IEditor)).toBe(false);
    Object.assign(completer, { suppressIfTabCompleterActive: false });
    expect(completers.isSuppressed(editor)).toBe(false);
  });
});
