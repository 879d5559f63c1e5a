import { describe, expect, it } from 'vitest';
import type { ICompletionFrame } from '../client';
import type { IRequest } from '../wire';
import { Completer } from './completer';
import { ScriptedEngine } from './testing/engine';
import { requestOf } from './testing/request';

const { signal } = new AbortController();

/** An engine that always generates the same text. */
function saying(text: string, probability = 0.95): ScriptedEngine {
  const pieces = text.match(/\s*\S+|\s+$/g) ?? [];
  const message = pieces.map(piece => [piece, probability] as const);
  return new ScriptedEngine(Array<typeof message>(9).fill(message), 2048);
}

async function framesOf(completer: Completer, request: IRequest): Promise<ICompletionFrame[]> {
  const frames: ICompletionFrame[] = [];
  await completer.complete(request, signal, frame => frames.push(frame));
  return frames;
}

describe('an answer', () => {
  it('grows frame by frame; the last frame is done and has timings', async () => {
    const completer = new Completer(saying('a + b\nnext'));
    const frames = await framesOf(completer, requestOf('x = '));
    expect(frames.map(({ text, done }) => [text, done])).toEqual([
      ['a +', undefined],
      ['a + b', undefined],
      ['a + b', true]
    ]);
    expect(frames.at(-1)).toMatchObject({
      finish_reason: 'stop',
      timings: { total_ms: expect.any(Number) as number }
    });
    expect(new Set(frames.map(({ id }) => id)).size).toBe(1);
  });

  it('stops the engine if the receiver throws', async () => {
    let stopped = 0;
    const engine = saying('a + b\nnext');
    const generate = engine.generate.bind(engine);
    engine.generate = (...how) => generate(...how).finally(() => stopped++);
    const asked = new Completer(engine).complete(requestOf('x = '), signal, () => {
      throw new Error('disconnected');
    });
    await expect(asked).rejects.toThrow('disconnected');
    expect(stopped).toBe(1);
  });

  it('is empty if the model is unsure, unless explicitly requested', async () => {
    const unsure = requestOf('x = ', { trigger: 'automatic' });
    const [last] = await framesOf(new Completer(saying('a + b', 0.1)), unsure);
    expect(last).toMatchObject({ text: '', done: true });
    expect(await framesOf(new Completer(saying('a + b', 0.1)), requestOf('x = '))).not.toEqual([]);
  });

  it('has three characters for each requested token', async () => {
    const engine = saying('a');
    await framesOf(new Completer(engine), requestOf('x = ', { max_tokens: 5, lines: 'single' }));
    expect(engine.asks[0].maxTokens).toBe(15);
  });

  it.each(['', 'total = 1\n'])(
    'is empty even for an explicit request if the model generates %j',
    async message => {
      const stands = requestOf('total = 1\n', { trigger: 'invoke' });
      expect((await framesOf(new Completer(saying(message)), stands)).at(-1)).toMatchObject({ text: '' });
    }
  );

  it.each([
    ['code', '', ''],
    ['code', '%%writefile module.py\n', 'import os'],
    ['markdown', '', 'import os']
  ] as const)(
    'leaves out an import of an earlier cell in the same language (%s, %j)',
    async (type, magic, text) => {
      const cells = [
        { id: 'above', type, source: `${magic}import os` },
        { id: 'cell', type: 'code' as const, source: 'x = 1\n' }
      ];
      const frames = await framesOf(
        new Completer(saying('import os\n')),
        requestOf('', { cells, active: 1, offset: 6 })
      );
      expect(frames.at(-1)).toMatchObject({ text });
    }
  );

  it('completes prose with apostrophes automatically', async () => {
    const cells = [{ id: 'cell', type: 'markdown' as const, source: "We don't need " }];
    const engine = saying('the other columns\n');
    const frames = await framesOf(
      new Completer(engine),
      requestOf('', { cells, offset: 14, trigger: 'automatic' })
    );
    expect(frames.at(-1)).toMatchObject({ text: 'the other columns' });
  });

  it('with alternatives is sorted and has no duplicates', async () => {
    const request = requestOf('x = ', { n: 3, stream: false });
    const { items } = await new Completer(saying('alpha + b', 0.5)).alternatives(request, signal);
    expect(items.map(({ text }) => text)).toEqual([...new Set(items.map(({ text }) => text))]);
    expect(items.length).toBeGreaterThan(0);
  });

  it('to a warm-up request is empty', async () => {
    const engine = saying('a');
    const frames = await framesOf(new Completer(engine), requestOf('x', { trigger: 'warmup' }));
    expect(frames).toMatchObject([{ text: '', done: true }]);
    expect(engine.asks[0].maxTokens).toBe(0);
  });
});

describe('a newer request', () => {
  it('of the same editor cancels the older one and drafts its text', async () => {
    const engine = saying('alpha + beta\n');
    const completer = new Completer(engine);
    let newer: Promise<ICompletionFrame[]> | undefined;
    const older: ICompletionFrame[] = [];
    await completer.complete(requestOf('x = '), signal, frame => {
      older.push(frame);
      newer ??= framesOf(completer, requestOf('x = al'));
    });
    expect(older).toMatchObject([{ text: 'alpha +' }, { text: '', done: true, finish_reason: 'superseded' }]);
    expect((await newer)?.at(-1)).toMatchObject({ done: true, finish_reason: 'stop' });
    expect(String.fromCodePoint(...engine.asks[1].draft)).toMatch(/^pha/);
  });

  it('with different text has no draft', async () => {
    const engine = saying('alpha');
    const completer = new Completer(engine);
    await framesOf(completer, requestOf('x = '));
    await framesOf(completer, requestOf('x = b'));
    expect(engine.asks[1].draft).toEqual([]);
  });

  it('cancels prefetching and is never cancelled by it', async () => {
    const completer = new Completer(saying('a b c'));
    const warm = framesOf(completer, requestOf('x', { trigger: 'prefetch' }));
    const asked = framesOf(completer, requestOf('y', { client: 'other' }));
    const late = framesOf(completer, requestOf('z', { trigger: 'warmup' }));
    expect((await warm).at(-1)?.finish_reason).toBe('yielded');
    expect((await late).at(-1)?.finish_reason).toBe('yielded');
    expect((await asked).at(-1)).toMatchObject({ text: 'a b c', finish_reason: 'stop' });
  });
});

it('sends nothing after the request was aborted', async () => {
  const stop = new AbortController();
  const completer = new Completer(saying('a b c'));
  const frames: ICompletionFrame[] = [];
  const asked = completer.complete(requestOf('x = '), stop.signal, frame => {
    frames.push(frame);
    stop.abort();
  });
  await expect(asked).rejects.toThrow();
  expect(frames.length).toBe(1);
  expect(await framesOf(completer, requestOf('x = '))).not.toEqual([]);
});

it('continues with the next request after an engine error', async () => {
  const engine = saying('a');
  const generate = engine.generate.bind(engine);
  engine.generate = () => {
    throw new Error('broken');
  };
  const completer = new Completer(engine);
  await expect(framesOf(completer, requestOf('x = '))).rejects.toThrow('broken');
  engine.generate = generate;
  expect((await framesOf(completer, requestOf('x = '))).at(-1)?.text).toBe('a');
});

describe('a prefetch request', () => {
  it('is answered once the request before it has ended', async () => {
    const completer = new Completer(saying('a + b'));
    await framesOf(completer, requestOf('x = '));
    const frames = await framesOf(completer, requestOf('y = ', { trigger: 'prefetch' }));
    expect(frames.at(-1)).toMatchObject({ done: true, finish_reason: 'stop' });
  });
});
