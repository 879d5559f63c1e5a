import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { beforeEach, expect, it, vi } from 'vitest';
import type { Completers } from './completers';
import { notifyOfProviders } from './otherproviders';
import { Preferences } from './settings';

interface IOptions {
  actions: { label: string; callback: () => void }[];
}

const shown = vi.hoisted(() => [] as [string, IOptions][]);

vi.mock('@jupyterlab/apputils', () => ({
  Notification: { info: (message: string, options: IOptions) => shown.push([message, options]) }
}));

/** Open a page with a completer; `suggest` lets these providers reply. */
function open({ hasSettings = true, preferences = new Preferences() } = {}) {
  const opened: string[] = [];
  const owner = {};
  const created = new Signal<object, unknown>(owner);
  const completers = { created } as unknown as Completers;
  notifyOfProviders(completers, ['own'], preferences, nullTranslator.load(''), () =>
    hasSettings ? () => opened.push('settings') : null
  );
  const suggestionsChanged = new Signal<object, void>(owner);
  const model = { suggestionsChanged, completions: { items: [] as object[] } };
  created.emit({ model });
  const suggest = (...identifiers: string[]) => {
    model.completions.items = identifiers.map(identifier => ({ provider: { identifier, name: 'NBI' } }));
    suggestionsChanged.emit();
  };
  return { suggest, opened };
}

beforeEach(() => {
  shown.length = 0;
});

it('own suggestions are not reported', () => {
  open().suggest('own');
  expect(shown).toEqual([]);
});

it('reports another provider once in all pages', () => {
  const preferences = new Preferences(); // all pages load the stored ones
  const { suggest } = open({ preferences });
  suggest('own', 'nbi');
  suggest('nbi');
  open({ preferences }).suggest('nbi');
  expect(shown.map(([message]) => message)).toEqual([
    'NBI suggests code, too. Alt [ and Alt ] switch between suggestions. To use only one extension, disable the other.'
  ]);
  open({ preferences }).suggest('nbi', 'third');
  expect(shown).toHaveLength(2);
});

it.each([
  [true, ['Keep Both', 'Open Settings']],
  [false, ['Keep Both']]
])('the notification opens the settings if there are any: %s', (hasSettings, labels) => {
  const { suggest, opened } = open({ hasSettings });
  suggest('nbi');
  const { actions } = shown[0][1];
  expect(actions.map(({ label }) => label)).toEqual(labels);
  actions.forEach(({ callback }) => callback());
  expect(opened).toEqual(hasSettings ? ['settings'] : []);
});
