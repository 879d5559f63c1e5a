import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { HttpClient, parseLines } from './httpclient';
import { requestErrorOf } from './requesterror';
import type { IError, IFeedback, IRequest } from './wire';

const { makeRequest } = vi.hoisted(() => ({ makeRequest: vi.fn() }));
vi.mock('@jupyterlab/services', () => ({ ServerConnection: { makeRequest } }));

function feedback(id: string, event: IFeedback['event']): IFeedback {
  return { id, event, chars: 3, length: 3, before: 0, seconds: 1 };
}

/** The feedback that was sent, in order. */
const sent = (): [string, string][] =>
  makeRequest.mock.calls.map(([, { body }]) => {
    const { id, event } = JSON.parse(body as string) as IFeedback;
    return [id, event];
  });

const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 0));

describe('feedback', () => {
  let answers: ((ok: boolean) => void)[];
  let client: HttpClient;

  beforeEach(() => {
    answers = [];
    client = new HttpClient({ baseUrl: 'http://server/' } as never);
    makeRequest.mockReset();
    makeRequest.mockImplementation(
      () =>
        new Promise((resolve, reject) => {
          answers.push(ok => (ok ? resolve({ ok: true }) : reject(new Error('gone'))));
        })
    );
  });

  it('is sent in order for each suggestion', async () => {
    client.feedback(feedback('a', 'shown'));
    client.feedback(feedback('a', 'accepted'));
    client.feedback(feedback('b', 'shown'));
    await settle();
    expect(sent()).toEqual([
      ['a', 'shown'],
      ['b', 'shown']
    ]);
    answers[0](true);
    await settle();
    expect(sent().at(-1)).toEqual(['a', 'accepted']);
  });

  it('continues after a failed request', async () => {
    client.feedback(feedback('a', 'shown'));
    client.feedback(feedback('a', 'dismissed'));
    await settle();
    answers[0](false);
    await settle();
    expect(sent().at(-1)).toEqual(['a', 'dismissed']);
  });

  it('is sent with keepalive while the page closes', async () => {
    client.feedback(feedback('a', 'retained'));
    client.feedback(feedback('b', 'retained'));
    await Promise.resolve(); // no more than that happens after a listener of a page that is closed
    expect(makeRequest).toHaveBeenCalledTimes(2);
    expect(makeRequest.mock.calls.every(([, { keepalive }]) => keepalive as boolean)).toBe(true);
  });
});

describe('an error within a stream', () => {
  const client = new HttpClient({ baseUrl: 'http://server/' } as never);
  const fails = (error: Partial<IError>) =>
    makeRequest.mockResolvedValue(
      new Response(`${JSON.stringify({ phase: 'failed', text: '', done: true, error })}\n`)
    );
  const streams = {
    complete: () => client.complete({} as IRequest, new AbortController().signal, () => undefined),
    pull: () => client.pull('a', false, () => undefined)
  };

  it.each(Object.entries(streams))('of %s has the status and the retry delay', async (_, stream) => {
    fails({ code: 'too_many_requests', message: 'Too many.', status: 429, retry_after: 3 });
    expect(requestErrorOf(await stream().catch((reason: unknown) => reason))).toEqual({
      kind: 'limited',
      message: 'Too many.',
      retryAfter: 3000
    });
    fails({ code: 'engine', message: 'It failed.', status: 500, retry_after: null });
    expect(requestErrorOf(await stream().catch((reason: unknown) => reason))).toEqual({
      kind: 'reported',
      message: 'It failed.',
      retryAfter: 0
    });
  });
});

describe('an unexpected response', () => {
  const client = new HttpClient({ baseUrl: 'http://server/' } as never);
  const frame = JSON.stringify({ id: 'a', text: '', done: false });
  const complete = () => client.complete({} as IRequest, new AbortController().signal, () => undefined);

  it.each([
    ['a page', '<!doctype html><title>Sign in</title>', 'incomplete'],
    ['a page of several lines', '<!doctype html>\n<title>Sign in</title>\n', 'unexpected'],
    ['JSON of another kind', '{"status": "ok"}\n', 'unexpected'],
    ['lines that are not objects', `${frame}\n7\n`, 'unexpected'],
    ['nothing', '', 'incomplete'],
    ['an answer without a last line', `${frame}\n`, 'incomplete'],
    ['an answer that is cut off in a line', `${frame}\n{"id":`, 'incomplete']
  ])('is detected: %s', async (_, body, kind) => {
    makeRequest.mockResolvedValue(new Response(body));
    await expect(complete()).rejects.toMatchObject({ kind });
  });

  it('does not hide the lines before it', async () => {
    const error = JSON.stringify({ error: { code: 'busy', message: 'wait', status: 429, retry_after: 5 } });
    makeRequest.mockResolvedValue(new Response(`${error}\n<html>\n`));
    await expect(complete()).rejects.toMatchObject({ code: 'busy' });
  });

  it.each([
    [401, 'denied'],
    [403, 'denied'],
    [404, 'missing'],
    [413, 'failed'],
    [424, 'stopped'],
    [429, 'busy'],
    [500, 'failed'],
    [502, 'failed'],
    [503, 'failed']
  ])('with the status %i is an error of kind %s', async (status, kind) => {
    makeRequest.mockResolvedValue(new Response('<html>not now</html>', { status }));
    expect(requestErrorOf(await complete().catch((reason: unknown) => reason)).kind).toBe(kind);
  });
});

describe('the list of models', () => {
  it('times out', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    makeRequest.mockReset();
    makeRequest.mockImplementation((_: string, { signal }: RequestInit) =>
      signal?.aborted ? Promise.reject(new Error('aborted')) : new Promise(() => undefined)
    );
    const client = new HttpClient({ baseUrl: 'http://server/' } as never);
    await expect(client.models()).rejects.toThrow('aborted');
    timeout.mockRestore();
  });
});

async function read(chunks: Uint8Array[]): Promise<unknown[]> {
  const left = [...chunks];
  const reader = {
    read: () =>
      Promise.resolve(left.length ? { done: false, value: left.shift() } : { done: true, value: undefined })
  };
  const objects: unknown[] = [];
  for await (const line of parseLines(reader)) {
    objects.push(line);
  }
  return objects;
}

describe('parseLines', () => {
  it('parses lines for any chunk boundaries', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ text: fc.string({ unit: 'grapheme' }) }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 7 }),
        async (objects, size) => {
          const bytes = new TextEncoder().encode(
            objects.map(object => `${JSON.stringify(object)}\n`).join('')
          );
          const chunks: Uint8Array[] = [];
          for (let start = 0; start < bytes.length; start += size) {
            chunks.push(bytes.slice(start, start + size));
          }
          expect(await read(chunks)).toEqual(objects);
        }
      )
    );
  });
});
