// @vitest-environment jsdom
import { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Availability } from './availability';
import { describeMemory, tellOfMemory } from './memory';
import type { IHealth, IMemory } from './wire';

const TRANS = nullTranslator.load('');
const MEMORY: IMemory = {
  building: false,
  files: 12,
  of: 12,
  root: '/home/ada',
  place: '/home/ada/.cache/x.db',
  trouble: null
};

function bench(memory: IMemory | null, used = true) {
  const health = { ready: true, phase: 'ready', model: 'a', memory } as IHealth;
  const availability = new Availability(() => Promise.resolve(health));
  const stop = vi.fn();
  tellOfMemory(
    availability,
    TRANS,
    () => used,
    stop
  );
  return { availability, stop };
}

describe('the index of the notebooks', () => {
  it('is described in a few words', () => {
    expect(describeMemory(TRANS, MEMORY)).toBe('12 files are known');
    expect(describeMemory(TRANS, { ...MEMORY, files: 1 })).toBe('1 file is known');
    expect(describeMemory(TRANS, { ...MEMORY, building: true, files: 3 })).toBe(
      'reading them: 3 of 12'
    );
    expect(describeMemory(TRANS, { ...MEMORY, trouble: 'There is none.' })).toBe('not available');
    expect(describeMemory(TRANS, null)).toBe('no index is kept');
  });
});

describe('that it is kept', () => {
  const info = vi.spyOn(Notification, 'info').mockReturnValue('id');
  beforeEach(() => {
    info.mockClear();
    localStorage.clear();
  });

  it('is told once for each folder, with where it is and how to stop it', async () => {
    const { availability, stop } = bench(MEMORY);
    await availability.check();
    await availability.check();
    await bench(MEMORY).availability.check(); // a page that is reloaded
    expect(info).toHaveBeenCalledTimes(1);
    const [words, options] = info.mock.calls[0]!;
    expect(words).toContain('/home/ada/.cache/x.db');
    expect(words).toContain('c.Turbopilot.memory = False');
    options!.actions![1]!.callback(new MouseEvent('click'));
    expect(stop).toHaveBeenCalledOnce();
    await bench({ ...MEMORY, root: '/home/eve' }).availability.check();
    expect(info).toHaveBeenCalledTimes(2);
  });

  it('is not told where there is none, or where it is not used', async () => {
    await bench(null).availability.check();
    await bench({ ...MEMORY, trouble: 'There is none.' }).availability.check();
    await bench(MEMORY, false).availability.check();
    expect(info).not.toHaveBeenCalled();
  });

  it('is told where a browser keeps nothing, or something odd', async () => {
    localStorage.setItem('jupyter-turbopilot:memory-told', '{"a": 1');
    await bench(MEMORY).availability.check();
    expect(info).toHaveBeenCalledTimes(1);
  });
});
