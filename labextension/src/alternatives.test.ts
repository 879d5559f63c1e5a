import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { CompletionHandler } from '@jupyterlab/completer';
import { describe, expect, it, vi } from 'vitest';

vi.mock('@jupyterlab/completer', () => ({ InlineCompletionTriggerKind: { Invoke: 0, Automatic: 1 } }));
vi.mock('@jupyterlab/console', () => ({ ConsolePanel: vi.fn() }));
vi.mock('@jupyterlab/notebook', () => ({ NotebookPanel: vi.fn() }));

import { Alternatives } from './alternatives';
import type { IClient } from './client';
import type { IContext } from './document';
import type { Provider } from './provider';
import { DEFAULTS } from './settings';
import { Suggestion } from './suggestion';
import type { IAnswer } from './wire';

/** Alternatives beside a provider that shows `main`; the test lets the server answer. */
function bench({
  main = 'first',
  typed = '',
  invoked = true,
  alternatives = 2,
  declined = false,
  read = false
} = {}) {
  const text = `x${typed}`;
  const state = { offset: text.length, declined };
  let answer: (answer: IAnswer) => void = () => undefined;
  let asked = 0;
  const client = {
    alternatives: () => {
      asked++;
      return new Promise<IAnswer>(resolve => (answer = resolve));
    }
  } as unknown as IClient;
  const provider = {
    invoked,
    settings: { ...DEFAULTS, alternatives },
    settled: () => Promise.resolve(new Suggestion({ text: 'x', offset: 1 }, main)),
    declinesAlternatives: () => state.declined,
    alternativesBody: () => ({})
  } as unknown as Provider;
  const editor = {
    isDisposed: false,
    hasFocus: () => true,
    getCursorPosition: () => state.offset,
    getOffsetAt: (position: number) => position,
    model: { sharedModel: { getSource: () => text } }
  } as unknown as CodeEditor.IEditor;
  const provided = new Alternatives(provider, client);
  const request = { text, offset: text.length } as CompletionHandler.IRequest;
  const fetched = provided.fetch(request, { editor } as unknown as IContext);
  const settle = () => new Promise(resolve => setTimeout(resolve, 0));
  const reply = async (...texts: string[]) => {
    await settle();
    answer({ id: 'a', items: texts.map(text => ({ text, confidence: 1, read })) });
    return (await fetched).items.map(({ insertText }) => insertText);
  };
  return { provided, settle, reply, state, asked: () => asked };
}

describe('alternatives', () => {
  it('have the server’s order and include prefixes of the shown text', async () => {
    const texts = ['"order_date")', '"order_date").head()', '', '"order_date").tail(10)'];
    expect(await bench({ main: texts[1] }).reply(...texts)).toEqual([texts[0], texts[3]]);
  });

  it.each([
    ['the shown suggestion', ['f(x**2 )', ' f(x ** 2)\n', 'g(y)']],
    ['each other', ['g(y)', 'g( y )', ' g(y)\n']]
  ])('omit texts that differ only in white space from %s', async (_, texts) => {
    expect(await bench({ main: 'f(x ** 2)' }).reply(...texts)).toEqual(['g(y)']);
  });

  it('are as many as the setting if the shown suggestion is not among them', async () => {
    expect(await bench().reply('second', 'third', 'fourth')).toEqual(['second', 'third']);
  });

  it('are all if they were read from the kernel', async () => {
    const one = bench({ read: true });
    expect(await one.reply('first', 'second', 'third', 'fourth')).toEqual(['second', 'third', 'fourth']);
  });

  it.each([
    [true, [], ['generating', 'none', 1]],
    [true, ['first'], ['generating', 'none', 1]],
    [true, ['second'], ['generating', 'generating', 0]],
    [false, [], [null, null, 0]]
  ])('have a progress for a requested (%s) answer of %j', async (invoked, texts, expected) => {
    const one = bench({ invoked });
    let ended = 0;
    one.provided.ended.connect(() => ended++);
    const before = one.provided.progress;
    await one.reply(...texts);
    expect([before, one.provided.progress, ended]).toEqual(expected);
  });

  it('may differ only in indentation', async () => {
    const texts = ['\n    return x', '\nreturn x'];
    expect(await bench({ main: 'f(x)' }).reply(...texts)).toEqual(texts);
  });

  it('are compared with the remaining part of the suggestion', async () => {
    expect(await bench({ typed: 'fi' }).reply('rst', 'second')).toEqual(['second']);
  });

  it.each([
    ['the request is automatic', { invoked: false }],
    ['no suggestion is shown', { main: '' }],
    ['the setting is 0', { alternatives: 0 }],
    ['suggestions are disabled in the notebook', { declined: true }]
  ])('are not requested if %s', async (_, options) => {
    const { reply, asked } = bench(options);
    expect(await reply('second')).toEqual([]);
    expect(asked()).toBe(0);
  });

  it.each<[string, (one: ReturnType<typeof bench>) => void]>([
    ['the cursor has moved', ({ state }) => (state.offset = 0)],
    ['suggestions were disabled', ({ state }) => (state.declined = true)],
    ['they were cancelled', ({ provided }) => provided.cancel()]
  ])('are not shown after %s', async (_, change) => {
    const one = bench();
    await one.settle();
    change(one);
    expect(await one.reply('second')).toEqual([]);
    expect(one.asked()).toBe(1);
  });
});
