import { sha256 as digest } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { IProgress } from '../wire';
import { MOST_BYTES } from './engine/gguf';
import { evict, type ISource, modelFile, MAX_FILES, sha256 } from './modelfile';
import { Files } from './testing/files';

const MODEL = new Uint8Array([1, 2, 3, 4, 5, 6]);
const SOURCE: ISource = {
  url: 'http://site.test/m.gguf',
  sha256: bytesToHex(digest(MODEL)),
  size: MODEL.length
};

const noStep = (): void => undefined;
const bytesOf = async (content: Blob | undefined) => new Uint8Array((await content?.arrayBuffer()) ?? []);

it('sha256 works without the browser’s digests', async () => {
  expect(await sha256(new Blob([MODEL]))).toBe(SOURCE.sha256);
  vi.stubGlobal('crypto', {});
  expect(await sha256(new Blob([MODEL]))).toBe(SOURCE.sha256);
  vi.unstubAllGlobals();
});

describe("a model's file", () => {
  let answer: (options: RequestInit) => Promise<Response>;
  let asked: number;

  beforeEach(() => {
    asked = 0;
    answer = () => Promise.resolve(new Response(MODEL));
    vi.stubGlobal('location', { href: 'http://site.test/' });
    vi.stubGlobal('fetch', (_: string, options: RequestInit) => {
      asked += 1;
      return answer(options);
    });
  });

  afterEach(() => vi.unstubAllGlobals());

  it('is downloaded once and then read from the browser’s storage', async () => {
    const files = new Files();
    const steps: IProgress[] = [];
    expect(await bytesOf(await modelFile(SOURCE, files, step => steps.push(step)))).toEqual(MODEL);
    expect(steps.at(-2)).toEqual({ phase: 'downloading', received: 6, total: 6, source: 'site.test' });
    expect(await bytesOf(await modelFile(SOURCE, files, noStep))).toEqual(MODEL);
    expect(asked).toBe(1);
  });

  it('is downloaded again if the stored file is damaged', async () => {
    const files = new Files();
    files.kept.set(SOURCE.sha256, new Blob([MODEL.slice(0, 5), MODEL.slice(0, 1)]));
    expect(await bytesOf(await modelFile(SOURCE, files, noStep))).toEqual(MODEL);
    expect(await bytesOf(files.kept.get(SOURCE.sha256))).toEqual(MODEL);
  });

  it('is downloaded each time without storage', async () => {
    await modelFile(SOURCE, null, noStep);
    await modelFile(SOURCE, null, noStep);
    expect(asked).toBe(2);
  });

  it.each([
    ['is missing', () => new Response('no', { status: 404 }), '(404). The file is missing. Report this'],
    ['is on a failing host', () => new Response('no', { status: 503 }), '(503). Try again later'],
    ['is an HTML page of the same size', () => new Response('<html>'), 'web page instead of m.gguf'],
    [
      'has different content',
      () => new Response(MODEL.map(byte => byte + 1)),
      '(wrong checksum). Report this to'
    ],
    ['is too long', () => new Response(new Uint8Array(7)), '(too large). Report this to'],
    ['is too short', () => new Response(MODEL.slice(0, 3)), '(too short). Report this to']
  ])('that %s is rejected with a message and not stored', async (_, response, words) => {
    const files = new Files();
    answer = () => Promise.resolve(response());
    await expect(modelFile(SOURCE, files, noStep)).rejects.toThrow(words);
    expect(files.kept.size).toBe(0);
  });

  it('is rejected with a message if the connection breaks', async () => {
    answer = () => Promise.reject(new TypeError('Failed to fetch'));
    await expect(modelFile(SOURCE, null, noStep)).rejects.toThrow('Check your network connection.');
    const body = new ReadableStream({ pull: controller => controller.error(new TypeError('network')) });
    answer = () => Promise.resolve(new Response(body));
    await expect(modelFile(SOURCE, null, noStep)).rejects.toThrow('Connection lost');
  });

  it('that is too large is not requested', async () => {
    await expect(modelFile({ ...SOURCE, size: MOST_BYTES + 1 }, null, noStep)).rejects.toThrow(
      'exceeds the limit'
    );
    expect(asked).toBe(0);
  });

  it('is downloaded again if the stored file cannot be read', async () => {
    const files = new Files();
    const gone = new Blob([MODEL]);
    gone.arrayBuffer = () => Promise.reject(new Error('gone'));
    files.kept.set(SOURCE.sha256, gone);
    expect(await bytesOf(await modelFile(SOURCE, files, noStep))).toEqual(MODEL);
    expect(asked).toBe(1);
  });

  it.each([0, 3])('can be downloaded again if the connection hangs after %i bytes', async bytes => {
    vi.useFakeTimers();
    answer = ({ signal }) =>
      new Promise((resolve, reject) => {
        const body = new ReadableStream({
          start: stream => {
            stream.enqueue(MODEL.slice(0, bytes));
            signal?.addEventListener('abort', () => stream.error(signal.reason));
          }
        });
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
        if (bytes) {
          resolve(new Response(body));
        }
      });
    const fetched = expect(modelFile(SOURCE, null, noStep)).rejects.toMatchObject({
      code: 'download_failed'
    });
    await vi.advanceTimersByTimeAsync(60_000);
    await fetched;
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it('is used even if it cannot be stored', async () => {
    const files = new Files();
    files.names = () => Promise.reject(new DOMException('', 'NotFoundError'));
    expect(await bytesOf(await modelFile(SOURCE, files, noStep))).toEqual(MODEL);
  });

  it('stops when the caller aborts it', async () => {
    const stop = new AbortController();
    answer = () => {
      stop.abort(new Error('stopped'));
      return Promise.reject(stop.signal.reason as Error);
    };
    await expect(modelFile(SOURCE, null, noStep, stop.signal)).rejects.toThrow('stopped');
  });

  it('is not stored if it is aborted while it is verified', async () => {
    const files = new Files();
    const stop = new AbortController();
    const checked = ({ phase }: { phase: string }) =>
      phase === 'verifying' && stop.abort(new Error('stopped'));
    await expect(modelFile(SOURCE, files, checked, stop.signal)).rejects.toThrow('stopped');
    expect(files.kept.size).toBe(0);
    files.kept.set(SOURCE.sha256, new Blob([MODEL]));
    await expect(modelFile(SOURCE, files, noStep, stop.signal)).rejects.toThrow('stopped');
  });

  it('replaces the oldest file', async () => {
    const files = new Files();
    for (let at = 0; at < MAX_FILES; at++) {
      files.kept.set(`${at}`, new Blob([MODEL]));
    }
    await modelFile(SOURCE, files, noStep);
    expect(files.kept.size).toBe(MAX_FILES);
    expect(files.kept.has('0')).toBe(false);
    expect(files.kept.has(SOURCE.sha256)).toBe(true);
  });

  it('replaces all others if there is no space, and works without any', async () => {
    const files = new Files();
    files.kept.set('old', new Blob([MODEL]));
    const { write } = files;
    files.write = (name, content) => (files.kept.size === 0 ? write(name, content) : Promise.resolve('full'));
    await modelFile(SOURCE, files, noStep);
    expect(await files.names()).toEqual([SOURCE.sha256]);
    files.write = () => Promise.resolve('full');
    files.kept.clear();
    expect(await bytesOf(await modelFile(SOURCE, files, noStep))).toEqual(MODEL);
  });

  it('replaces no other file while another tab writes it', async () => {
    const files = new Files();
    files.kept.set('old', new Blob([MODEL]));
    files.write = () => Promise.resolve('busy');
    expect(await bytesOf(await modelFile(SOURCE, files, noStep))).toEqual(MODEL);
    expect(await files.names()).toEqual(['old']);
  });

  it('evicts nothing while there is space', async () => {
    const files = new Files();
    files.kept.set('old', new Blob([MODEL]));
    await evict(files, 1);
    expect(files.kept.size).toBe(1);
  });
});
