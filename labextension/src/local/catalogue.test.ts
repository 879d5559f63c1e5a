import { afterEach, describe, expect, it, vi } from 'vitest';
import { readCatalogue } from './catalogue';

const ADDRESS = 'https://site.test/ext/models.json';
const MODEL = { name: 'characters', url: 'characters.gguf', sha256: 'a'.repeat(64), size: 6 };

describe('readCatalogue', () => {
  afterEach(() => vi.unstubAllGlobals());

  const serve = (body: BodyInit, status = 200) =>
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { status })));

  it('resolves relative and absolute URLs', async () => {
    const other = { ...MODEL, url: 'https://other.test/m.gguf', language: 'python' };
    serve(JSON.stringify({ models: [MODEL, other] }));
    const models = await readCatalogue(ADDRESS);
    expect(models.map(({ url }) => url)).toEqual([
      'https://site.test/ext/characters.gguf',
      'https://other.test/m.gguf'
    ]);
    expect(models.map(({ language }) => language)).toEqual(['', 'python']);
  });

  it('omits invalid entries', async () => {
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

  it.each([
    ['\n<!doctype html>', 200, /web page instead of models\.json/],
    ['{}', 200, /lists no model/],
    ['null', 200, /^models\.json must be an object with a list “models”\. Report/],
    ['[]', 200, /^models\.json must be an object/],
    ['{"models": {}}', 200, /^models\.json must be an object with a list “models”\. Report/],
    ['{"models": [3]}', 200, /^The entry of model 1 in models\.json must be an object/],
    ['{"models": []}', 200, /lists no model/],
    ['', 200, /is not valid JSON/],
    ['{\n"models": [1 2]\n}', 200, /is not valid JSON/],
    ['no', 404, /could not be downloaded \(404\)/],
    ['no', 410, /could not be downloaded \(410\)/]
  ])('rejects %j (%i) and refers to the owner of the site', async (body, status, words) => {
    serve(body, status);
    const refused = readCatalogue(ADDRESS);
    await expect(refused).rejects.toThrow(words);
    await expect(refused).rejects.toThrow(/owner of the site/);
    await expect(refused).rejects.toMatchObject({ code: 'no_model' });
  });

  it.each([
    ['sha256', undefined],
    ['sha256', ['a'.repeat(64)]],
    ['sha256', 'A'.repeat(64)],
    ['size', '6'],
    ['size', 1.5],
    ['url', 'http://'],
    ['name', undefined],
    ['use', {}]
  ])('names the invalid field of the first entry: %s is %j', async (field, value) => {
    serve(JSON.stringify({ models: [{ ...MODEL, [field]: value }, {}] }));
    await expect(readCatalogue(ADDRESS)).rejects.toThrow(
      `“${field}” of model 1 in models.json is missing or invalid. Report this to the owner of the site.`
    );
  });

  it('keeps “$&” in a file name', async () => {
    serve('{"models": [3]}');
    await expect(readCatalogue('https://site.test/$&.json')).rejects.toThrow('model 1 in $&.json');
  });

  it('limits messages to the length of a notification for any URL', async () => {
    const fields = ['name', 'url', 'sha256', 'size', 'language', 'best', 'licence', 'use'];
    const mistakes = [
      3,
      {},
      { ...MODEL, sha256: undefined },
      ...fields.map(field => ({ ...MODEL, [field]: {} }))
    ];
    const lists = mistakes.map(wrong => JSON.stringify({ models: [wrong] }));
    for (const body of ['<html>', '[1, 2', '{}', '3', ...lists, 403, 404, 503]) {
      serve(typeof body === 'string' ? body : '', typeof body === 'string' ? 200 : body);
      const reason: unknown = await readCatalogue(
        `https://site.test/${'long/'.repeat(40)}${'name'.repeat(40)}`
      ).catch((refused: unknown) => refused);
      expect((reason as Error).message.length).toBeLessThanOrEqual(140 - 'Turbopilot: '.length);
    }
  });

  it.each([
    ['in JSON at position 13 (line 2 column 14)', ' (line 2)'],
    ['at line 2 column 14 of the JSON data', ' (line 2)'],
    ['Unexpected end of JSON input', '']
  ])('reports the line of a syntax error if the browser does: %s', async (reported, where) => {
    serve('{');
    const parse = vi.spyOn(JSON, 'parse').mockImplementation(() => {
      throw new SyntaxError(reported);
    });
    await expect(readCatalogue(ADDRESS)).rejects.toThrow(`models.json is not valid JSON${where}. Report`);
    parse.mockRestore();
  });

  it('reports a closed connection as a failed download', async () => {
    vi.stubGlobal('fetch', () =>
      Promise.resolve(
        new Response(new ReadableStream({ start: stream => stream.error(new TypeError('cut')) }))
      )
    );
    await expect(readCatalogue(ADDRESS)).rejects.toMatchObject({
      code: 'download_failed',
      message: 'models.json could not be downloaded. Check your network connection.'
    });
  });

  it('reports a timeout as a failed download', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort());
    vi.stubGlobal('fetch', (_: string, { signal }: RequestInit) =>
      signal?.aborted ? Promise.reject(new Error('aborted')) : new Promise(() => undefined)
    );
    await expect(readCatalogue(ADDRESS)).rejects.toMatchObject({ code: 'download_failed' });
    timeout.mockRestore();
  });
});
