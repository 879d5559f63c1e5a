/** Texts that are no ordinary code, through everything that answers in a page, the engine included. */

import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ICompletionFrame } from '../client';
import type { ICell, IRequest } from '../wire';
import type { Models } from './models';
import { LocalClient } from './client';
import { Engine } from './engine/engine';
import { MODULE } from './testing/model';
import { EngineHost } from './enginehost';
import type { ToWorker } from './messages';
import { requestOf } from './testing/request';
import { codePoints } from './text';
import type { ILine } from './workerconnection';

const bytes = new Uint8Array(readFileSync(new URL('../../ui-tests/model/rectangles.gguf', import.meta.url)));

const VOCABULARY = Engine.load(bytes, MODULE).vocabulary;

/** The last prompt that the worker received, with `|` for its markers. */
let prompt = '';

/** A worker in this thread. */
function connect(): ILine {
  const { port1, port2 } = new MessageChannel();
  const models: Partial<Models> = {
    open: () => Promise.resolve(Engine.load(bytes, MODULE))
  };
  new EngineHost(port2, models as Models);
  const post = port1.postMessage.bind(port1);
  const postMessage = (message: ToWorker): void => {
    if (message.kind === 'generate') {
      prompt = message.ask.prompt.map(token => VOCABULARY.text(token) || '|').join('');
    }
    post(message);
  };
  return Object.assign(port1, { postMessage, onerror: null, terminate: () => port1.close() });
}

const code = (source: string): ICell => ({ id: '', type: 'code', source, executed: true });

function request(cells: ICell[], offset: number, active = cells.length - 1): IRequest {
  return requestOf('', { cells, active, offset, max_tokens: 16 });
}

it('patterns do not search the rest of a text again at each character', () => {
  // a lookahead for any rest, or a repeat before the end without anything before it
  const slow = /\(\?[=!](?:\[\^\]|\.)[*+]|\/(?:\[(?:\\.|[^\]])+\]|\\.)[*+]\)?\$\//;
  const sources = new URL('../', import.meta.url);
  // The server's tests check the patterns in secrets.ts, which are generated.
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter(
    name => /(?<!\.test)\.tsx?$/.test(name) && name !== 'secrets.ts'
  );
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter(name => slow.test(readFileSync(new URL(name, sources), 'utf8')))).toEqual([]);
});

describe('an answer', () => {
  const client = new LocalClient({ catalogue: 'http://site/models.json', connect });

  beforeAll(() => {
    const list = { models: [{ name: 'a', url: 'a', sha256: 'a'.repeat(64), size: bytes.length }] };
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(JSON.stringify(list))));
  });

  afterAll(() => {
    client.leave(); // ends the worker
    vi.unstubAllGlobals();
  });

  async function answer(asked: IRequest): Promise<string> {
    const frames: ICompletionFrame[] = [];
    await client.complete(asked, new AbortController().signal, frame => frames.push(frame));
    frames.reduce((shown, { text }) => {
      expect(text.startsWith(shown)).toBe(true);
      return text;
    }, '');
    return frames.at(-1)?.text ?? '';
  }

  it.each([
    ['emoji', '# 👩‍🔬🚀\n\n\n'],
    ['combining marks', '# e\u0301\u0301 ở\n\n\n'],
    ['lone surrogates', '# \ud800 \udc00\udc00\n\n\n'],
    ['Windows line endings', 'x = 1\r\ny = 2\r\n\n\n'],
    ['NUL', '# \0\0\n\n\n'],
    ['bidirectional control characters', '# \u202eabc\u2066\u200f\n\n\n'],
    ['a byte order mark', '\ufeff# a\n\n\n']
  ])('counts code points after %s', async (_, before) => {
    const above = `${before}value = wid`;
    await answer(request([code(`${above}th\nother = 1`)], codePoints(above)));
    expect(prompt).toMatch(/value = wid$/); // the cursor
    expect(prompt).toMatch(/\|th\nother = 1\|/);
  });

  it.each([
    ['an empty cell', [code('')]],
    ['20 000 characters on a line', [code(`x = "${'a'.repeat(20_000)}"\n`), code('y = ')]],
    ['20 000 characters on the line', [code(`x = [${'1, '.repeat(7000)}`)]],
    ['20 000 emoji on the line', [code(`x = "${'🚀'.repeat(20_000)}`)]],
    ['10 000 cells', Array.from({ length: 10_000 }, (__, at) => code(`x${at} = f(${at})\nprint(x${at})`))],
    ['10 000 empty cells', Array.from({ length: 10_000 }, () => code(''))],
    ['unclosed brackets', [code('('.repeat(5000))]],
    ['unclosed quotes', [code(`'''"'`.repeat(4000))]]
  ])('is returned for %s', async (_, cells) => {
    expect(typeof (await answer(request(cells, codePoints(cells.at(-1)?.source ?? ''))))).toBe('string');
  });

  it('is returned for any text', async () => {
    const part = fc.oneof(
      fc.constantFrom(
        '\ud800',
        '\udc00',
        '👩‍🔬',
        '\r\n',
        '\r',
        '\0',
        '\u202e',
        '\ufeff',
        '\u2028',
        '\x1a',
        '"""',
        '%%time\n'
      ),
      fc.string({ unit: 'binary' }),
      fc.string()
    );
    const source = fc.array(part, { maxLength: 12 }).map(parts => parts.join(''));
    await fc.assert(
      fc.asyncProperty(fc.array(source, { minLength: 1, maxLength: 3 }), fc.nat(), async (sources, place) => {
        const offset = place % (codePoints(sources[sources.length - 1]) + 1);
        expect(await answer(request(sources.map(code), offset))).not.toContain('\x1a');
      }),
      { numRuns: 60 }
    );
  });
});
