import type { IInlineCompleterFactory, InlineCompleter } from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';

vi.mock('@jupyterlab/completer', () => ({ InlineCompleter: vi.fn() }));

import { Completers } from './completers';

/** A completer as JupyterLab creates it, tracked by `completers`. */
function bench() {
  const owner = {};
  const cycle = vi.fn();
  const completer = {
    isActive: true,
    model: {
      reset: vi.fn(),
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
  return { completers, completer: completer as unknown as InlineCompleter, model: completer.model, cycle };
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
});
