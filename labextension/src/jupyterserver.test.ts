import { ServerConnection } from '@jupyterlab/services';
import { describe, expect, it, vi } from 'vitest';
import { pageFacts } from './jupyterserver';

const asked = (answer: () => Promise<Response>) => {
  const fetch = vi.fn(answer);
  const settings = ServerConnection.makeSettings({ baseUrl: 'http://127.0.0.1/a b/', fetch });
  return { fetch, facts: pageFacts(settings) };
};
const says =
  (body: string, status = 200) =>
  () =>
    Promise.resolve(new Response(body, { status }));

describe('what a page knows of its server', () => {
  it.each<[string, () => Promise<Response>, boolean]>([
    ['one that tells its version', says('{"version": "2.17.0"}'), true],
    ['one that wants a password', says('{"message": "Forbidden"}', 403), true],
    ['one that does not know the person', says('', 401), true],
    ['one in trouble', says('{"message": "Internal error"}', 500), true],
    ['a proxy that does not reach it', says('<html>Bad Gateway</html>', 502), true],
    ['a static site', says('not found', 404), false],
    ['a site that has a page for every address', says('<!doctype html>'), false],
    ['something else that speaks JSON', says('[1]'), false],
    ['a site whose answer is null', says('null'), false],
    ['no network', () => Promise.reject(new TypeError('Failed to fetch')), false]
  ])('%s', async (_, answer, isThere) => {
    const { fetch, facts } = asked(answer);
    expect(facts.marked).toBe(false);
    expect(await facts.hasServer()).toBe(isThere);
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it('is not known while the connection hangs', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    const { facts } = asked(() => Promise.reject(new TypeError('Failed to fetch')));
    await expect(facts.hasServer()).rejects.toMatchObject({ kind: 'silent' });
    expect(timeout).toHaveBeenCalledOnce();
    timeout.mockRestore();
  });
});
