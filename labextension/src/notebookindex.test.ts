import { StateDB } from '@jupyterlab/statedb';
import { nullTranslator } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { NotebookIndex } from './notebookindex';
import { Preferences } from './settings';
import { ShownNotifications } from './shownnotifications';
import type { IHealth, INotebookIndex } from './wire';

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
const INDEX: INotebookIndex = {
  building: false,
  files: 12,
  found: 12,
  paused: null,
  root: '/home/ada',
  path: '/home/ada/.local/share/x.db',
  error: null
};

describe('NotebookIndex', () => {
  let preferences: Preferences;
  let state: StateDB;
  let pages: Availability[];
  const page = { returnFocus: vi.fn() };
  const notice = { brief: vi.fn() };
  const client = { deleteIndex: vi.fn(), buildIndex: vi.fn() };

  function healthWith(notebook_index: INotebookIndex | null): IHealth {
    return { ready: true, phase: 'ready', model: 'a', notebook_index } as IHealth;
  }

  /** Open a page of a server whose index is in this state. */
  async function open(notebook_index: INotebookIndex | null, isUsed = true) {
    const availability = new Availability(() => Promise.resolve(healthWith(notebook_index)));
    await preferences.change({ notebookIndex: isUsed });
    const index = new NotebookIndex(
      client,
      availability,
      preferences,
      new ShownNotifications(state),
      notice,
      page,
      TRANS
    );
    pages.push(availability);
    await availability.check();
    return { index, preferences };
  }

  /** Open a page and accept two suggestions. */
  async function acceptIn(notebook_index: INotebookIndex | null, isUsed = true): Promise<NotebookIndex> {
    const { index } = await open(notebook_index, isUsed);
    await index.accepted();
    await index.accepted();
    return index;
  }

  beforeEach(() => {
    shown.length = dialogs.length = pressed.length = 0;
    vi.clearAllMocks();
    client.deleteIndex.mockResolvedValue(healthWith({ ...INDEX, files: 0, error: 'it was deleted' }));
    client.buildIndex.mockResolvedValue(healthWith({ ...INDEX, building: true }));
    pages = [];
    preferences = new Preferences();
    state = new StateDB(); // all pages have the same
  });

  it('shows no notification before a suggestion is accepted', async () => {
    await open(INDEX);
    expect(shown).toEqual([]);
  });

  it('shows the notification once', async () => {
    await acceptIn(INDEX);
    await acceptIn(INDEX);
    expect(shown.map(([message]) => message)).toEqual([
      'Turbopilot also uses your notebooks. Their index stays on the server.'
    ]);
  });

  it('shows no notification without other notebooks in the index or if the setting is disabled', async () => {
    await acceptIn(null);
    await acceptIn({ ...INDEX, files: 1 });
    await acceptIn({ ...INDEX, error: 'There is none.' });
    await acceptIn(INDEX, false);
    expect(shown).toEqual([]);
  });

  it('explains the index in the dialog “More…”', async () => {
    await acceptIn(INDEX);
    shown[0][1].actions[2].callback();
    for (const expected of [INDEX.root, INDEX.path, 'c.Turbopilot.notebook_index = False']) {
      expect(dialogs[0].body).toContain(expected);
    }
    expect(dialogs[0].buttons.map(({ label }) => label)).toEqual([
      'Delete Index…',
      'Stop Using the Index',
      'OK'
    ]);
    await vi.waitFor(() => expect(page.returnFocus).toHaveBeenCalledOnce());
  });

  it('disables the setting with “Stop Using the Index” in the notification or in the dialog', async () => {
    let index = await acceptIn(INDEX);
    shown[0][1].actions[1].callback();
    expect(index.isUsed).toBe(false);
    expect(dialogs[0].buttons.map(({ label }) => label)).toEqual(['Delete Index…', 'OK']);
    preferences = new Preferences();
    state = new StateDB();
    index = await acceptIn(INDEX);
    pressed.push('Stop Using the Index');
    shown[1][1].actions[2].callback();
    await vi.waitFor(() => expect(index.isUsed).toBe(false));
    expect(client.deleteIndex).not.toHaveBeenCalled();
  });

  it('deletes the index after a confirmation and disables the setting', async () => {
    const { index } = await open(INDEX);
    await index.confirmDeletion();
    expect(client.deleteIndex).not.toHaveBeenCalled();
    expect(index.isUsed).toBe(true);
    pressed.push('Delete Index');
    await index.confirmDeletion();
    expect(dialogs[1].body).toContain('/home/ada');
    expect(client.deleteIndex).toHaveBeenCalledOnce();
    expect(index.isUsed).toBe(false);
    expect(index.state?.error).toBe('it was deleted');
    expect(notice.brief).toHaveBeenCalledWith('Turbopilot has deleted the notebook index.');
  });

  it('deletes the index from the dialog “More…”', async () => {
    await acceptIn(INDEX);
    pressed.push('Delete Index…', 'Delete Index');
    shown[0][1].actions[2].callback();
    await vi.waitFor(() => expect(client.deleteIndex).toHaveBeenCalledOnce());
  });

  it('reports a failed deletion and leaves the setting enabled', async () => {
    client.deleteIndex.mockRejectedValue(new TypeError('no connection'));
    const { index } = await open(INDEX);
    pressed.push('Delete Index');
    await index.confirmDeletion();
    expect(notice.brief).toHaveBeenCalledWith('Turbopilot: The server cannot be reached.');
    expect(index.isUsed).toBe(true);
  });

  it('builds a deleted index again when the setting is enabled', async () => {
    const { index, preferences } = await open({ ...INDEX, error: 'it was deleted' });
    await preferences.change({ notebookIndex: false });
    expect(client.buildIndex).not.toHaveBeenCalled();
    await preferences.change({ notebookIndex: true });
    await vi.waitFor(() => expect(index.state?.building).toBe(true));
  });

  it('builds the index again if another page may have deleted it', async () => {
    const { preferences } = await open(INDEX);
    await preferences.change({ notebookIndex: false });
    await preferences.change({ notebookIndex: true });
    expect(client.buildIndex).toHaveBeenCalledOnce();
  });

  it('builds no index if the server keeps none', async () => {
    const { preferences } = await open(null, false);
    await preferences.change({ notebookIndex: true });
    expect(client.buildIndex).not.toHaveBeenCalled();
  });
});
