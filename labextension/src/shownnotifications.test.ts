import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Completers } from './completers';
import { notifyOfProviders, ShownNotifications } from './shownnotifications';

interface IOptions {
  actions: { label: string; callback: () => void }[];
}

const shown = vi.hoisted(() => [] as [string, IOptions][]);

vi.mock('@jupyterlab/apputils', () => ({
  Notification: { info: (message: string, options: IOptions) => shown.push([message, options]) }
}));

/** Open a page with a completer; `suggest` lets these providers reply. */
function open({ hasSettings = true, state = new StateDB() } = {}) {
  const opened: string[] = [];
  const owner = {};
  const created = new Signal<object, unknown>(owner);
  const completers = { created } as unknown as Completers;
  notifyOfProviders(completers, ['own'], new ShownNotifications(state), nullTranslator.load(''), () =>
    hasSettings ? () => opened.push('settings') : null
  );
  const suggestionsChanged = new Signal<object, void>(owner);
  const model = { suggestionsChanged, completions: { items: [] as object[] } };
  created.emit({ model });
  const suggest = async (...identifiers: string[]) => {
    model.completions.items = identifiers.map(identifier => ({ provider: { identifier, name: 'NBI' } }));
    suggestionsChanged.emit();
    await new Promise(resolve => setTimeout(resolve)); // until the state database has answered
  };
  return { suggest, opened };
}

beforeEach(() => {
  shown.length = 0;
});

it('own suggestions are not reported', async () => {
  await open().suggest('own');
  expect(shown).toEqual([]);
});

it('reports another provider once in all pages', async () => {
  const state = new StateDB();
  const { suggest } = open({ state });
  await suggest('own', 'nbi');
  await suggest('nbi');
  await open({ state }).suggest('nbi');
  expect(shown.map(([message]) => message)).toEqual([
    'NBI suggests code, too. Alt [ and Alt ] switch between them.'
  ]);
  await open({ state }).suggest('nbi', 'third');
  expect(shown).toHaveLength(2);
});

it.each([
  [true, ['Keep Both', 'Open Settings']],
  [false, ['Keep Both']]
])('the notification opens the settings if there are any: %s', async (hasSettings, labels) => {
  const { suggest, opened } = open({ hasSettings });
  await suggest('nbi');
  const { actions } = shown[0][1];
  expect(actions.map(({ label }) => label)).toEqual(labels);
  actions.forEach(({ callback }) => callback());
  expect(opened).toEqual(hasSettings ? ['settings'] : []);
});

describe('ShownNotifications', () => {
  it('notes each notification once in all pages', async () => {
    const state = new StateDB();
    const [first, second] = [new ShownNotifications(state), new ShownNotifications(state)];
    const noted = [];
    for (const [page, name] of [
      [first, 'a'],
      [first, 'a'],
      [first, 'b'],
      [second, 'a'],
      [second, 'c']
    ] as const) {
      noted.push(await page.note(name));
    }
    expect(noted).toEqual([true, false, true, false, true]);
  });

  it.each([
    ['there is no database', null],
    ['the database fails', { fetch: () => Promise.reject(new Error('offline')) } as unknown as StateDB]
  ])('notes them once in a page if %s', async (_, state) => {
    const shown = new ShownNotifications(state);
    expect([await shown.note('a'), await shown.note('a')]).toEqual([true, false]);
  });
});
