import { afterEach, describe, expect, it, vi } from 'vitest';
import { readCatalogue } from './catalogue';

const ADDRESS = 'https://site.test/ext/models.json';
const MODEL = { name: 'characters', url: 'characters.gguf', sha256: 'a'.repeat(64), size: 6 };

describe('the list of models for the browser', () => {
  afterEach(() => vi.unstubAllGlobals());

  const serve = (body: BodyInit, status = 200) =>
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { status })));

  it('has addresses relative to its own, and of other sites', async () => {
    const other = { ...MODEL, url: 'https://other.test/m.gguf', language: 'python' };
    serve(JSON.stringify({ models: [MODEL, other] }));
    const models = await readCatalogue(ADDRESS);
    expect(models.map(({ url }) => url)).toEqual([
      'https://site.test/ext/characters.gguf',
      'https://other.test/m.gguf'
    ]);
    expect(models.map(({ language }) => language)).toEqual(['', 'python']);
  });

  it('leaves out what is no model', async () => {
    const wrong = [
      null,
      { ...MODEL, sha256: 'short' },
      { ...MODEL, size: '6' },
      { ...MODEL, size: -1 },
      { ...MODEL, url: 'http://' },
      { ...MODEL, use: {} },
      { ...MODEL, language: 1 }
    ];
    serve(JSON.stringify({ models: [...wrong, MODEL] }));
    expect(await readCatalogue(ADDRESS)).toHaveLength(1);
  });

  it('has models for wllama where it says where that is, and none for engines that are not known', async () => {
    const larger = { ...MODEL, name: 'larger', engine: 'wllama' };
    const models = [MODEL, larger, { ...MODEL, engine: 'another' }];
    serve(JSON.stringify({ models }));
    expect((await readCatalogue(ADDRESS)).map(({ name }) => name)).toEqual(['characters']);
    serve(JSON.stringify({ models, wllama: 'wllama.wasm' }));
    const read = await readCatalogue(ADDRESS);
    expect(read.map(({ wllama }) => wllama)).toEqual(['', 'https://site.test/ext/wllama.wasm']);
    expect(read[1]).not.toHaveProperty('engine');
  });

  it.each([
    ['<html>', 200],
    ['{}', 200],
    ['{"models": []}', 200],
    ['no', 404]
  ])('that is %s (%i) is said to be missing', async (body, status) => {
    serve(body, status);
    await expect(readCatalogue(ADDRESS)).rejects.toThrow('has no model for the browser');
  });

  it('that cannot be fetched may be there later', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    await expect(readCatalogue(ADDRESS)).rejects.toMatchObject({ code: 'download_failed' });
  });
});
