import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { NotebookIndex } from './notebookindex';
import { Preferences } from './settings';
import type { IHealth, IMemory } from './wire';

interface IOptions {
  actions: { label: string; callback: () => void }[];
}

interface IDialog {
  body: string;
  buttons: { label: string }[];
}

const shown = vi.hoisted(() => [] as [string, IOptions][]);
const dialogs = vi.hoisted(() => [] as IDialog[]);
const pressed = vi.hoisted(() => [] as string[]);

vi.mock('@jupyterlab/apputils', () => {
  const button = ({ label = 'Cancel' } = {}) => ({ label, accept: false });
  const accept = ({ label = 'OK' } = {}) => ({ label, accept: true });
  return {
    Dialog: { okButton: accept, warnButton: accept, cancelButton: button },
    Notification: { info: (message: string, options: IOptions) => shown.push([message, options]) },
    showDialog: (options: IDialog) => {
      dialogs.push(options);
      const label = pressed.shift() ?? 'Cancel';
      return Promise.resolve({
        button: options.buttons.find(one => one.label === label) ?? button()
      });
    }
  };
});

const TRANS = nullTranslator.load('');
const MEMORY: IMemory = {
  building: false,
  files: 12,
  of: 12,
  paused: null,
  root: '/home/ada',
  place: '/home/ada/.local/share/x.db',
  trouble: null
};

describe('NotebookIndex', () => {
  let stored: Map<string, string>;
  let pages: Availability[];
  const page = { returnFocus: vi.fn() };
  const notice = { brief: vi.fn() };
  const client = { deleteIndex: vi.fn(), buildIndex: vi.fn() };

  function healthWith(memory: IMemory | null): IHealth {
    return { ready: true, phase: 'ready', model: 'a', memory } as IHealth;
  }

  /** Open a page of a server whose index is in this state. */
  async function open(memory: IMemory | null, isUsed = true) {
    const availability = new Availability(() => Promise.resolve(healthWith(memory)));
    const preferences = new Preferences();
    await preferences.change({ notebookIndex: isUsed });
    const index = new NotebookIndex(client, availability, preferences, notice, page, TRANS);
    pages.push(availability);
    await availability.check();
    return { index, preferences };
  }

  /** Open a page and accept two suggestions. */
  async function acceptIn(memory: IMemory | null, isUsed = true): Promise<NotebookIndex> {
    const { index } = await open(memory, isUsed);
    index.accepted();
    index.accepted();
    return index;
  }

  beforeEach(() => {
    shown.length = dialogs.length = pressed.length = 0;
    vi.clearAllMocks();
    client.deleteIndex.mockResolvedValue(healthWith({ ...MEMORY, files: 0, trouble: 'it was deleted' }));
    client.buildIndex.mockResolvedValue(healthWith({ ...MEMORY, building: true }));
    pages = [];
    stored = new Map();
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value)
    });
  });

  afterEach(() => {
    pages.forEach(one => one.dispose());
    vi.unstubAllGlobals();
  });

  it('shows no notification before a suggestion is accepted', async () => {
    await open(MEMORY);
    expect(shown).toEqual([]);
  });

  it('shows the notification once for each folder', async () => {
    await acceptIn(MEMORY);
    await acceptIn(MEMORY);
    expect(shown.map(([message]) => message)).toEqual([
      'Turbopilot indexes your notebooks. The index is in /home/ada/.local/share.'
    ]);
    await acceptIn({ ...MEMORY, root: '/home/eve' });
    expect(shown).toHaveLength(2);
  });

  it('shows no notification without an index or if the setting is disabled', async () => {
    await acceptIn(null);
    await acceptIn({ ...MEMORY, trouble: 'There is none.' });
    await acceptIn(MEMORY, false);
    expect(shown).toEqual([]);
  });

  it('shows the notification if the browser’s storage is missing or damaged', async () => {
    stored.set('jupyter-turbopilot:notebook-index-shown', '{"a": 1');
    await acceptIn(MEMORY);
    vi.stubGlobal('localStorage', undefined);
    await acceptIn(MEMORY);
    expect(shown).toHaveLength(2);
  });

  it('explains the index in the dialog “More…”', async () => {
    await acceptIn(MEMORY);
    shown[0][1].actions[2].callback();
    for (const expected of [MEMORY.root, MEMORY.place, 'c.Turbopilot.notebook_index = False']) {
      expect(dialogs[0].body).toContain(expected);
    }
    expect(dialogs[0].buttons.map(({ label }) => label)).toEqual(['Delete Index', 'Stop Using', 'OK']);
    await vi.waitFor(() => expect(page.returnFocus).toHaveBeenCalledOnce());
  });

  it('disables the setting with “Stop Using” in the notification or in the dialog', async () => {
    let index = await acceptIn(MEMORY);
    shown[0][1].actions[1].callback();
    expect(index.isUsed).toBe(false);
    expect(dialogs[0].buttons.map(({ label }) => label)).toEqual(['Delete Index', 'OK']);
    index = await acceptIn({ ...MEMORY, root: '/home/eve' });
    pressed.push('Stop Using');
    shown[1][1].actions[2].callback();
    await vi.waitFor(() => expect(index.isUsed).toBe(false));
    expect(client.deleteIndex).not.toHaveBeenCalled();
  });

  it('deletes the index after a confirmation and disables the setting', async () => {
    const { index } = await open(MEMORY);
    await index.confirmDeletion();
    expect(client.deleteIndex).not.toHaveBeenCalled();
    expect(index.isUsed).toBe(true);
    pressed.push('Delete Index');
    await index.confirmDeletion();
    expect(dialogs[1].body).toContain('/home/ada');
    expect(client.deleteIndex).toHaveBeenCalledOnce();
    expect(index.isUsed).toBe(false);
    expect(index.state?.trouble).toBe('it was deleted');
    expect(notice.brief).toHaveBeenCalledWith('Turbopilot has deleted the notebook index.');
  });

  it('deletes the index from the dialog “More…”', async () => {
    await acceptIn(MEMORY);
    pressed.push('Delete Index', 'Delete Index');
    shown[0][1].actions[2].callback();
    await vi.waitFor(() => expect(client.deleteIndex).toHaveBeenCalledOnce());
  });

  it('reports a failed deletion and leaves the setting enabled', async () => {
    client.deleteIndex.mockRejectedValue(new TypeError('no connection'));
    const { index } = await open(MEMORY);
    pressed.push('Delete Index');
    await index.confirmDeletion();
    expect(notice.brief).toHaveBeenCalledWith('Turbopilot: The server cannot be reached.');
    expect(index.isUsed).toBe(true);
  });

  it('builds a deleted index again when the setting is enabled', async () => {
    const { index, preferences } = await open({ ...MEMORY, trouble: 'it was deleted' });
    await preferences.change({ notebookIndex: false });
    expect(client.buildIndex).not.toHaveBeenCalled();
    await preferences.change({ notebookIndex: true });
    await vi.waitFor(() => expect(index.state?.building).toBe(true));
    await preferences.change({ notebookIndex: false });
    await preferences.change({ notebookIndex: true });
    expect(client.buildIndex).toHaveBeenCalledOnce();
  });
});
