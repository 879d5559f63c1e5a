import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

interface IOptions {
  actions: { label: string; callback: () => void }[];
}

const said = vi.hoisted(() => [] as [string, IOptions][]);
const more = vi.hoisted(() => [] as string[]);

vi.mock('@jupyterlab/apputils', () => ({
  Dialog: { okButton: () => ({}) },
  Notification: { info: (words: string, options: IOptions) => said.push([words, options]) },
  showDialog: ({ body }: { body: string }) => more.push(body)
}));

import { Availability } from './availability';
import { tellOfMemory } from './memorynotice';
import type { IHealth, IMemory } from './wire';

const TRANS = nullTranslator.load('');
const MEMORY: IMemory = {
  building: false,
  files: 12,
  of: 12,
  root: '/home/ada',
  place: '/home/ada/.local/share/x.db',
  paused: null,
  trouble: null
};

describe('that an index of the notebooks is kept', () => {
  let stored: Map<string, string>;
  let pages: Availability[];

  /** Open a page, and let it ask the server twice how it is; return what stops the use of the index. */
  async function page(memory: IMemory | null, used = true) {
    const health = { ready: true, phase: 'ready', model: 'a', memory } as IHealth;
    const availability = new Availability(() => Promise.resolve(health));
    const stop = vi.fn();
    tellOfMemory(availability, TRANS, () => used, stop);
    pages.push(availability);
    await availability.check();
    await availability.check();
    return stop;
  }

  beforeEach(() => {
    said.length = 0;
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

  it('is told once for each folder, with where it is and how to stop it', async () => {
    const stop = await page(MEMORY);
    await page(MEMORY);
    expect(said).toHaveLength(1);
    const [words, { actions }] = said[0];
    expect(words).toBe('Turbopilot keeps an index of your notebooks. It is in /home/ada/.local/share');
    actions[2].callback();
    for (const expected of [MEMORY.root, MEMORY.place, 'c.Turbopilot.memory = False']) {
      expect(more[0]).toContain(expected);
    }
    actions[0].callback();
    expect(stop).not.toHaveBeenCalled();
    actions[1].callback();
    expect(stop).toHaveBeenCalledOnce();
    await page({ ...MEMORY, root: '/home/eve' });
    expect(said).toHaveLength(2);
  });

  it('is not told where there is none, or where it is not used', async () => {
    await page(null);
    await page({ ...MEMORY, trouble: 'There is none.' });
    await page(MEMORY, false);
    expect(said).toEqual([]);
  });

  it('is told where the browser keeps nothing, or something odd', async () => {
    stored.set('jupyter-turbopilot:memory-told', '{"a": 1');
    await page(MEMORY);
    vi.stubGlobal('localStorage', undefined);
    await page(MEMORY);
    expect(said).toHaveLength(2);
  });
});
