import { readdirSync } from 'node:fs';
import { type IPlugin, PluginRegistry } from '@lumino/coreutils';
import { beforeEach, expect, it, vi } from 'vitest';

const { created, create, tokens } = vi.hoisted(() => {
  const created: string[] = [];
  return {
    created,
    create: (what: string) => () => {
      created.push(what);
      return {};
    },
    tokens: async (...names: string[]) => {
      const { Token } = await import('@lumino/coreutils');
      return Object.fromEntries(names.map(name => [name, new Token(name)]));
    }
  };
});
vi.mock('@jupyterlab/apputils', () => tokens('ICommandPalette'));
vi.mock('@jupyterlab/completer', () => tokens('ICompletionProviderManager', 'IInlineCompleterFactory'));
vi.mock('@jupyterlab/settingregistry', () => tokens('ISettingRegistry'));
vi.mock('@jupyterlab/statedb', () => tokens('IStateDB'));
vi.mock('@jupyterlab/statusbar', () => tokens('IStatusBar'));
vi.mock('@jupyterlab/translation', () => tokens('ITranslator'));
vi.mock('./commands', () => ({ addCommands: create('commands') }));
vi.mock('./components', () => ({
  createEngine: create('engine'),
  createCompletion: create('completion'),
  createNotifications: create('notifications'),
  createOffers: create('offers'),
  followDocuments: create('documents'),
  followSettings: create('settings')
}));
vi.mock('./keys', () => ({ addKeys: create('keys') }));
vi.mock('./panel', () => ({ panelOpener: create('panel') }));
vi.mock('./statusitem', () => ({ addStatus: create('status') }));

import { ICompletionProviderManager, IInlineCompleterFactory } from '@jupyterlab/completer';
import plugins from './index';

/** The id of the settings, which users also name to disable the extension. */
const MAIN = `jupyter-turbopilot:${readdirSync('schema')[0].replace('.json', '')}`;

/** Start an application with plugins. */
async function start(started: readonly object[]): Promise<void> {
  const registry = new PluginRegistry();
  registry.application = { restored: new Promise(() => undefined) };
  const ofLab = [ICompletionProviderManager, IInlineCompleterFactory].map(provides => ({
    id: provides.name,
    provides,
    activate: () => ({})
  }));
  registry.registerPlugins([...ofLab, ...started] as IPlugin<unknown, unknown>[]);
  await registry.activatePlugins('startUp');
}

beforeEach(() => void (created.length = 0));

it('the plugin with the settings starts the others before it loads these', async () => {
  await start(plugins);
  const parts = ['engine', 'completion', 'notifications', 'offers', 'status'];
  expect(created).toEqual([...parts, 'panel', 'keys', 'commands', 'documents', 'settings']);
});

it('the others start without the plugin of the fixes', async () => {
  await start(plugins.filter(({ id }) => !id.endsWith(':fixes')));
  expect(created).not.toContain('offers');
  expect(created).toContain('settings');
});

it('no plugin starts without the one with the settings', async () => {
  await start(plugins.filter(({ id }) => id !== MAIN));
  expect(created).toEqual([]);
});
