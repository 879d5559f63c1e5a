import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { tellOfMemory } from './memory';
import type { IHealth, IMemory } from './wire';

interface IOptions {
  actions: { label: string; callback: () => void }[];
}

const said = vi.hoisted(() => [] as [string, IOptions][]);
const more = vi.hoisted(() => [] as { body: string; buttons: { label: string }[] }[]);
const dialog = vi.hoisted(() => ({ press: 'OK' }));

vi.mock('@jupyterlab/apputils', () => ({
  Dialog: { okButton: () => ({ label: 'OK' }), cancelButton: ({ label }: { label: string }) => ({ label }) },
  Notification: { info: (words: string, options: IOptions) => said.push([words, options]) },
  showDialog: (options: (typeof more)[number]) => {
    more.push(options);
    return Promise.resolve({ button: { label: dialog.press } });
  }
}));

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

describe('that an index of the notebooks is kept', () => {
  let stored: Map<string, string>;
  let pages: Availability[];
  const returnFocus = vi.fn();

  /** Open a page, and let it ask the server twice how it is; return what stops the use of the index. */
  async function page(memory: IMemory | null, used = true) {
    const health = { ready: true, phase: 'ready', model: 'a', memory } as IHealth;
    const availability = new Availability(() => Promise.resolve(health));
    const stop = vi.fn(() => void (used = false));
    tellOfMemory(availability, TRANS, () => used, stop, returnFocus);
    pages.push(availability);
    await availability.check();
    await availability.check();
    return stop;
  }

  beforeEach(() => {
    said.length = more.length = 0;
    dialog.press = 'OK';
    returnFocus.mockClear();
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

  it('is shown once for each folder, with its location and how to disable it', async () => {
    const stop = await page(MEMORY);
    await page(MEMORY);
    expect(said).toHaveLength(1);
    const [words, { actions }] = said[0];
    expect(words).toBe('Turbopilot indexes your notebooks. The index is in /home/ada/.local/share');
    actions[2].callback();
    for (const expected of [MEMORY.root, MEMORY.place, 'c.Turbopilot.notebook_index = False']) {
      expect(more[0].body).toContain(expected);
    }
    await vi.waitFor(() => expect(returnFocus).toHaveBeenCalledOnce());
    actions[0].callback();
    expect(stop).not.toHaveBeenCalled();
    actions[1].callback();
    expect(stop).toHaveBeenCalledOnce();
    await page({ ...MEMORY, root: '/home/eve' });
    expect(said).toHaveLength(2);
  });

  it('can be answered in the dialog that explains it', async () => {
    const stop = await page(MEMORY);
    const [, { actions }] = said[0];
    dialog.press = 'Stop Using';
    actions[2].callback();
    expect(more[0].buttons.map(({ label }) => label)).toEqual(['Stop Using', 'OK']);
    await vi.waitFor(() => expect(stop).toHaveBeenCalledOnce());
    actions[2].callback();
    expect(more[1].buttons.map(({ label }) => label)).toEqual(['OK']);
  });

  it('is not shown without an index or if the index is disabled', async () => {
    await page(null);
    await page({ ...MEMORY, trouble: 'There is none.' });
    await page(MEMORY, false);
    expect(said).toEqual([]);
  });

  it('is shown if the browser stores nothing, or invalid data', async () => {
    stored.set('jupyter-turbopilot:memory-told', '{"a": 1');
    await page(MEMORY);
    vi.stubGlobal('localStorage', undefined);
    await page(MEMORY);
    expect(said).toHaveLength(2);
  });
});
