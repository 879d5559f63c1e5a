import { ServerConnection } from '@jupyterlab/services';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { IClient } from './client';
import { chooseEngine, Engines, pageProperties } from './engines';
import type { IFeedback, IHealth } from './wire';

function bench(server: boolean) {
  const makers = {
    server: vi.fn(() => Promise.resolve(named('server'))),
    browser: vi.fn(() => Promise.resolve(named('browser')))
  };
  const page = { marked: false, serverOnly: false, hasServer: vi.fn(() => Promise.resolve(server)) };
  const engines = new Engines(page, makers);
  return { client: engines.client, makers, page, engines };
}

const named = (model: string) =>
  ({ health: () => Promise.resolve({ model } as IHealth) }) as unknown as IClient;

describe('Engines', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('creates a client only for the needed engine', async () => {
    const { client, makers, engines } = bench(false);
    expect(await engines.use('auto')).toBe(true);
    expect((await client.health()).model).toBe('browser');
    expect(makers.server).not.toHaveBeenCalled();
  });

  it('changes the engine and reuses earlier clients', async () => {
    const { client, makers, engines } = bench(true);
    for (const wanted of ['server', 'browser', 'server', 'auto', 'browser'] as const) {
      await engines.use(wanted);
    }
    expect((await client.health()).model).toBe('browser');
    expect([makers.server.mock.calls.length, makers.browser.mock.calls.length]).toEqual([1, 1]);
  });

  it('releases the resources of the previous client', async () => {
    const { makers, engines } = bench(true);
    const leave = vi.fn();
    makers.browser.mockResolvedValueOnce({ ...named('browser'), leave });
    await engines.use('browser');
    await engines.use('browser');
    expect(leave).not.toHaveBeenCalled();
    await engines.use('server');
    expect(leave).toHaveBeenCalledTimes(1);
  });

  it('uses the engine that was requested last', async () => {
    const { client, makers, engines } = bench(true);
    let made: (client: IClient) => void = () => undefined;
    makers.browser.mockReturnValueOnce(new Promise(resolve => (made = resolve)));
    const browser = engines.use('browser');
    await vi.waitFor(() => expect(makers.browser).toHaveBeenCalled());
    expect(await engines.use('server')).toBe(true);
    made(named('browser'));
    expect(await browser).toBe(false);
    expect((await client.health()).model).toBe('server');
  });

  it('retries an engine that could not be loaded', async () => {
    const { client, makers, engines } = bench(true);
    await engines.retry();
    makers.browser.mockRejectedValueOnce(new Error('ChunkLoadError'));
    await expect(engines.use('browser')).rejects.toMatchObject({ code: 'not_loaded' });
    vi.setSystemTime(Date.now() - 86_400_000); // a clock that is set back changes nothing
    vi.advanceTimersByTime(5000);
    await engines.retry();
    expect((await client.health()).model).toBe('browser');
    await engines.retry();
    expect(makers.browser).toHaveBeenCalledTimes(2);
  });

  it('reports a change after a failure of another engine', async () => {
    const { client, engines } = bench(false);
    await engines.use('auto');
    await expect(engines.use('server')).rejects.toMatchObject({ kind: 'no server' });
    await expect(engines.retry()).rejects.toMatchObject({ kind: 'no server' });
    expect(await engines.use('auto')).toBe(true);
    expect((await client.health()).model).toBe('browser');
  });

  it('increases the retry delay and repeats the error meanwhile', async () => {
    const { page, engines } = bench(false);
    await expect(engines.use('server')).rejects.toMatchObject({ kind: 'no server' });
    for (let check = 0; check < 120; check++) {
      vi.advanceTimersByTime(5000);
      await expect(engines.retry()).rejects.toMatchObject({ kind: 'no server' });
    }
    // After 5, 15, 35 and 75 seconds, and once a minute from then on.
    expect(page.hasServer).toHaveBeenCalledTimes(1 + 4 + 8);
    page.hasServer.mockResolvedValue(true);
    vi.advanceTimersByTime(60_000);
    await engines.retry();
    await engines.retry();
    expect(page.hasServer).toHaveBeenCalledTimes(1 + 4 + 8 + 1);
  });

  it('tries at once when the user changes the setting', async () => {
    const { client, page, engines } = bench(false);
    await expect(engines.use('server')).rejects.toMatchObject({ kind: 'no server' });
    page.hasServer.mockResolvedValue(true);
    await engines.use('server');
    expect((await client.health()).model).toBe('server');
  });

  it('ignores the failure of an engine that is no longer selected', async () => {
    const { client, makers, engines } = bench(true);
    let fail: (reason: Error) => void = () => undefined;
    makers.browser.mockReturnValueOnce(new Promise((_, reject) => (fail = reject)));
    const browser = engines.use('browser');
    await vi.waitFor(() => expect(makers.browser).toHaveBeenCalled());
    await engines.use('server');
    fail(new Error('ChunkLoadError'));
    expect(await browser).toBe(false);
    await engines.retry();
    expect((await client.health()).model).toBe('server');
    expect(makers.browser).toHaveBeenCalledTimes(1);
  });
});

describe('chooseEngine', () => {
  it.each([
    ['auto', true, false, 'server', 0],
    ['auto', false, true, 'server', 1],
    ['auto', false, false, 'browser', 1],
    ['browser', true, true, 'browser', 0],
    ['server', true, false, 'server', 0],
    ['server', false, true, 'server', 1]
  ] as const)('%s, marked page: %s, server: %s → %s', async (wanted, marked, server, engine, requests) => {
    const page = { marked, serverOnly: false, hasServer: vi.fn(() => Promise.resolve(server)) };
    expect(await chooseEngine(wanted, page)).toBe(engine);
    expect(page.hasServer).toHaveBeenCalledTimes(requests);
  });

  it('rejects the setting “server” without a server', async () => {
    const page = { marked: false, serverOnly: false, hasServer: () => Promise.resolve(false) };
    await expect(chooseEngine('server', page)).rejects.toMatchObject({ kind: 'no server' });
  });

  it.each(['auto', 'browser', 'server'] as const)(
    '%s is the server if the page must not run a model',
    async wanted => {
      const page = { marked: true, serverOnly: true, hasServer: () => Promise.resolve(false) };
      expect(await chooseEngine(wanted, page)).toBe('server');
    }
  );
});

const asked = (answer: () => Promise<Response>) => {
  const fetch = vi.fn(answer);
  const settings = ServerConnection.makeSettings({ baseUrl: 'http://127.0.0.1/a b/', fetch });
  return { fetch, facts: pageProperties(settings) };
};
const says =
  (body: string, status = 200) =>
  () =>
    Promise.resolve(new Response(body, { status }));

describe('pageProperties', () => {
  it.each<[string, () => Promise<Response>, boolean]>([
    ['a server with a version', says('{"version": "2.17.0"}'), true],
    ['a server that denies access', says('{"message": "Forbidden"}', 403), true],
    ['a server that requires a login', says('', 401), true],
    ['a server with an internal error', says('{"message": "Internal error"}', 500), true],
    ['a proxy that cannot reach the server', says('<html>Bad Gateway</html>', 502), true],
    ['a static site', says('not found', 404), false],
    ['a site with a page for every URL', says('<!doctype html>'), false],
    ['another JSON service', says('[1]'), false],
    ['a site that returns null', says('null'), false],
    ['no network', () => Promise.reject(new TypeError('Failed to fetch')), false]
  ])('%s', async (_, answer, isThere) => {
    const { fetch, facts } = asked(answer);
    expect([facts.marked, facts.serverOnly]).toEqual([false, false]);
    expect(await facts.hasServer()).toBe(isThere);
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it('rejects if the connection hangs', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    const { facts } = asked(() => Promise.reject(new TypeError('Failed to fetch')));
    await expect(facts.hasServer()).rejects.toMatchObject({ kind: 'timeout' });
    expect(timeout).toHaveBeenCalledOnce();
    timeout.mockRestore();
  });
});

const FEEDBACK: IFeedback = { id: 'id', event: 'shown', chars: 3, length: 3, before: 0, seconds: 1 };

describe('the client of the engines', () => {
  it('delays requests until an engine is used', async () => {
    const { client, engines } = bench(true);
    const early = client.health();
    await engines.use('server');
    expect((await early).model).toBe('server');
  });

  it('is not a promise', async () => {
    const { client } = bench(true);
    expect(await Promise.resolve(client)).toBe(client);
  });

  it('forwards all calls with their arguments', async () => {
    const { client, makers, engines } = bench(true);
    const complete = vi.fn(() => Promise.resolve());
    const feedback = vi.fn();
    makers.server.mockResolvedValue({ ...named('a'), complete, feedback });
    await engines.use('server');
    const { signal } = new AbortController();
    const frame = (): void => undefined;
    await client.complete({} as never, signal, frame);
    expect(complete).toHaveBeenCalledWith({}, signal, frame);
    client.feedback(FEEDBACK);
    await Promise.resolve();
    expect(feedback).toHaveBeenCalledWith(FEEDBACK);
  });
});
