import { readFileSync } from 'node:fs';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { IFiles } from './files';
import { Files } from './testing/files';
import { compiled, Models } from './models';

describe('the engine', () => {
  const engine = new URL('http://site.test/engine.wasm');
  afterEach(() => vi.unstubAllGlobals());

  it('is downloaded and compiled', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(readFileSync('wasm/engine.wasm'))));
    expect(await compiled(engine)).toBeInstanceOf(WebAssembly.Module);
  });

  it.each([
    ['with a connection error', () => Promise.reject(new TypeError('Failed to fetch'))],
    ['with status 503', () => Promise.resolve(new Response('', { status: 503 }))],
    ['as a sign-in page', () => Promise.resolve(new Response('<!doctype html>'))]
  ])('that is returned %s can be requested later', async (_, answer) => {
    vi.stubGlobal('fetch', answer);
    await expect(compiled(engine)).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringContaining('engine.wasm') as string
    });
  });

  it('is rejected if it does not compile or without WebAssembly', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(new Uint8Array(8))));
    await expect(compiled(engine)).rejects.toMatchObject({ code: 'no_engine' });
    vi.stubGlobal('WebAssembly', undefined);
    await expect(compiled(engine)).rejects.toMatchObject({ code: 'no_engine' });
  });
});

describe('an aborted model', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is not downloaded further', async () => {
    vi.stubGlobal('location', { href: 'http://site.test/' });
    const given: (AbortSignal | null | undefined)[] = [];
    vi.stubGlobal('fetch', (_: string, options: RequestInit) => {
      given.push(options.signal);
      return Promise.reject(new Error('given up'));
    });
    const models = new Models(
      () => Promise.resolve(null),
      () => new Promise(() => undefined)
    );
    const stop = new AbortController();
    const source = { url: '/m.gguf', sha256: 'a'.repeat(64), size: 9 };
    await expect(models.open(source, () => undefined, stop.signal)).rejects.toThrow(
      'could not be downloaded'
    );
    stop.abort();
    expect(given.map(signal => signal?.aborted)).toEqual([true]);
  });

  it('is not loaded after its download', async () => {
    const stop = new AbortController();
    const files = new Files();
    const content = new Uint8Array([1, 2, 3]);
    const kept = new Blob([content]);
    let read = 0;
    kept.arrayBuffer = () => {
      if (++read === 2) {
        stop.abort(new Error('stopped')); // it is checked by then
      }
      return Promise.resolve(content.buffer);
    };
    const source = { url: '/m.gguf', sha256: bytesToHex(sha256(content)), size: 3 };
    files.kept.set(source.sha256, kept);
    const models = new Models(
      () => Promise.resolve(files),
      () => Promise.resolve({} as WebAssembly.Module)
    );
    await expect(models.open(source, () => undefined, stop.signal)).rejects.toThrow('stopped');
  });
});

describe('a model that is downloaded for later', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is stored without being opened, or rejected without storage', async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    vi.stubGlobal('location', { href: 'http://site.test/' });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(bytes)));
    const files = new Files();
    const source = { url: '/m.gguf', sha256: bytesToHex(sha256(bytes)), size: 3 };
    const fetched = (where: IFiles | null) =>
      new Models(
        () => Promise.resolve(where),
        () => Promise.reject(new Error('no engine is wanted'))
      ).fetch(source, () => undefined, new AbortController().signal);
    await fetched(files);
    expect([...files.kept.keys()]).toEqual([source.sha256]);
    await expect(fetched(null)).rejects.toMatchObject({ code: 'no_storage' });
    files.kept.clear();
    files.write = () => Promise.resolve('full');
    await expect(fetched(files)).rejects.toMatchObject({ code: 'no_storage' });
  });
});
