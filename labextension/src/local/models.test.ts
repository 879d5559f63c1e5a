import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { IFiles } from './files';
import { Models, WLLAMA } from './models';

const PACKAGE = 'node_modules/@wllama/wllama/';

describe('the WebAssembly of wllama', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is the one of the package that its code comes from', () => {
    const bytes = readFileSync(`${PACKAGE}esm/wasm/wllama.wasm`);
    expect(WLLAMA).toEqual({ sha256: bytesToHex(sha256(bytes)), size: bytes.length });
    expect(JSON.parse(readFileSync(`${PACKAGE}package.json`, 'utf8'))).toMatchObject({ version: '3.8.1' });
  });

  it('is refused where it is another, before the model is fetched', async () => {
    vi.stubGlobal('location', { href: 'http://site.test/' });
    const asked: string[] = [];
    vi.stubGlobal('fetch', (url: string) => {
      asked.push(url);
      return Promise.resolve(new Response(new Uint8Array(WLLAMA.size)));
    });
    const models = new Models(
      () => Promise.resolve(null),
      () => Promise.reject(new Error('our own engine is not wanted'))
    );
    const source = { url: '/m.gguf', sha256: 'a'.repeat(64), size: 9, wllama: '/wllama.wasm' };
    await expect(models.open('larger', source, () => undefined)).rejects.toThrow(
      'not the file that was expected'
    );
    expect(asked).toEqual(['/wllama.wasm']);
  });
});

describe('a model that is fetched for later', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is kept, with nothing opened, or refused where the browser keeps nothing', async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    vi.stubGlobal('location', { href: 'http://site.test/' });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(bytes)));
    const kept = new Map<string, Blob>();
    const files: IFiles = {
      read: name => Promise.resolve(kept.get(name) ?? null),
      write: (name, content) => Promise.resolve(!!kept.set(name, content)),
      remove: name => Promise.resolve(kept.delete(name) ? 3 : 0),
      names: () => Promise.resolve([...kept.keys()])
    };
    const source = { url: '/m.gguf', sha256: bytesToHex(sha256(bytes)), size: 3 };
    const fetched = (where: IFiles | null) =>
      new Models(
        () => Promise.resolve(where),
        () => Promise.reject(new Error('no engine is wanted'))
      ).fetch(source, () => undefined, new AbortController().signal);
    await fetched(files);
    expect([...kept.keys()]).toEqual([source.sha256]);
    await expect(fetched(null)).rejects.toMatchObject({ code: 'no_storage' });
  });
});
