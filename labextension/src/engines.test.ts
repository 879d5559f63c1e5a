import { describe, expect, it, vi } from 'vitest';
import { ChosenClient } from './chosenclient';
import type { IClient } from './client';
import { Engines } from './engines';
import type { IHealth } from './wire';

function bench(server: boolean) {
  const client = new ChosenClient();
  const makers = {
    server: vi.fn(() => Promise.resolve(named('server'))),
    browser: vi.fn(() => Promise.resolve(named('browser')))
  };
  const page = { marked: false, hasServer: () => Promise.resolve(server) };
  return { client, makers, engines: new Engines(client, page, makers) };
}

const named = (model: string) =>
  ({ health: () => Promise.resolve({ model } as IHealth) }) as unknown as IClient;

describe('the engine in use', () => {
  it('is made once it is needed, and no other', async () => {
    const { client, makers, engines } = bench(false);
    expect(await engines.use('as the page has it')).toBe(true);
    expect((await client.health()).model).toBe('browser');
    expect(makers.server).not.toHaveBeenCalled();
  });

  it('can be changed, and is kept for the way back', async () => {
    const { client, makers, engines } = bench(true);
    for (const wanted of ['server', 'browser', 'server', 'as the page has it', 'browser'] as const) {
      await engines.use(wanted);
    }
    expect((await client.health()).model).toBe('browser');
    expect([makers.server.mock.calls.length, makers.browser.mock.calls.length]).toEqual([1, 1]);
  });

  it('does not change where the same comes out', async () => {
    const { engines } = bench(true);
    expect(await engines.use('server')).toBe(true);
    expect(await engines.use('server')).toBe(false);
    expect(await engines.use('as the page has it')).toBe(false);
  });
});
