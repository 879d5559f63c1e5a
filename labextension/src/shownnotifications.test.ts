import { StateDB } from '@jupyterlab/statedb';
import { describe, expect, it } from 'vitest';
import { ShownNotifications } from './shownnotifications';

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
