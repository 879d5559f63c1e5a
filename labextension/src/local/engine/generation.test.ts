import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IEngineRequest, IToken } from '../engineinterface';
import { BATCH, Engine } from './engine';
import { likeliest, logSoftmax, pauses, write } from './generation';
import { CASES, MODEL, MODULE } from '../testing/model';

const soon = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
const load = (): Engine => Engine.load(MODEL, MODULE);
const engine = load();
const PROMPT = CASES[8].ids;

function asked(some: Partial<IEngineRequest>): IEngineRequest {
  return { prompt: PROMPT, draft: [], maxTokens: 24, banned: null, ...some };
}

async function all(
  some: Partial<IEngineRequest>,
  { signal = new AbortController().signal, on = engine } = {}
): Promise<{ tokens: IToken[]; batches: number }> {
  const tokens: IToken[] = [];
  let batches = 0;
  const pause = (): Promise<void> => {
    batches++;
    return soon();
  };
  for await (const token of write(on, asked(some), pause, signal)) {
    tokens.push(token);
  }
  return { tokens, batches };
}

/** What may follow a text, the likeliest first. */
function ranked(text: readonly number[]): { row: number[]; tokens: number[] } {
  while (engine.read(text)) {
    // The next batch.
  }
  const row = Array.from(engine.logits());
  const shown = [...row.keys()].filter(token => !engine.vocabulary.hidden.has(token));
  return { row, tokens: shown.sort((one, other) => row[other] - row[one]) };
}

describe('write', () => {
  it('generates the likeliest tokens', async () => {
    const { tokens } = await all({});
    const text = [...PROMPT];
    for (const { token, probability } of tokens) {
      const { row, tokens: likely } = ranked(text);
      const mass = row.reduce((sum, value) => sum + Math.exp(value), 0);
      expect(token).toBe(likely[0]);
      expect(probability).toBeCloseTo(Math.exp(row[token]) / mass, 5);
      expect(engine.vocabulary.text(token).length).toBe(1);
      text.push(token);
    }
    expect(tokens.length === 24 || engine.vocabulary.ends.has(ranked(text).tokens[0])).toBe(true);
  });

  it('evaluates only the prompt if no tokens are requested', async () => {
    const on = load();
    const { tokens } = await all({ maxTokens: 0 }, { on });
    expect(tokens).toEqual([]);
    expect(on.evaluated).toBe(PROMPT.length);
  });

  it('evaluates only the typed text when a prompt continues', async () => {
    const on = load();
    const first = await all({ maxTokens: 5 }, { on });
    const typed = [...PROMPT, ...first.tokens.map(({ token }) => token)];
    const before = on.evaluated;
    await all({ prompt: [...typed, 9], maxTokens: 1 }, { on });
    expect(on.evaluated - before).toBeLessThanOrEqual(2);
  });

  it('generates the same with any draft, and evaluates a correct one in batches', async () => {
    const plain = await all({});
    const right = plain.tokens.map(({ token }) => token);
    await fc.assert(
      fc.asyncProperty(fc.nat(right.length), fc.array(fc.nat(97), { maxLength: 9 }), async (kept, wrong) => {
        const { tokens, batches } = await all({ draft: [...right.slice(0, kept), ...wrong] });
        expect(tokens).toEqual(plain.tokens);
        expect(batches).toBeLessThanOrEqual(tokens.length - kept + Math.ceil(kept / 8) + 2);
      }),
      { numRuns: 20 }
    );
  });

  it('does not begin with banned tokens, but may generate them later', async () => {
    const { tokens } = ranked(PROMPT);
    const plain = await all({ maxTokens: 1 });
    const other = await all({ maxTokens: 1, banned: tokens[0] });
    expect([plain.tokens[0].token, other.tokens[0].token]).toEqual(tokens.slice(0, 2));
    const { row } = ranked(PROMPT);
    const among = row.reduce((sum, value) => sum + Math.exp(value), 0);
    expect(other.tokens[0].probability).toBeGreaterThan(Math.exp(row[tokens[1]]) / among);
  });

  it('ends when the context is full', async () => {
    const prompt = Array.from({ length: engine.contextSize - 3 }, (_, at) => at % 97);
    const { tokens } = await all({ prompt, maxTokens: 20 });
    expect(tokens.length).toBeLessThanOrEqual(3);
  });

  it('ends with the batch in which it is aborted', async () => {
    for (const batches of [1, 2, 3, 5]) {
      const on = load();
      const controller = new AbortController();
      let paused = 0;
      const pause = async (): Promise<void> => {
        await soon();
        if (++paused === batches) {
          controller.abort();
        }
      };
      const tokens: IToken[] = [];
      const writing = async (): Promise<void> => {
        for await (const token of write(on, asked({}), pause, controller.signal)) {
          tokens.push(token);
        }
      };
      await expect(writing()).rejects.toThrow('aborted');
      expect(on.evaluated).toBeLessThanOrEqual(batches * BATCH);
      expect(tokens.length).toBe(Math.max(0, batches - Math.ceil(PROMPT.length / BATCH)));
    }
  });

  it('evaluates nothing if it was aborted before', async () => {
    const before = engine.evaluated;
    await expect(all({}, { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
    expect(engine.evaluated).toBe(before);
  });
});

const logits = fc.array(fc.float({ min: -40, max: 40, noNaN: true }), { minLength: 4, maxLength: 20 });
const sum = (row: ArrayLike<number>): number => Array.from(row, Math.exp).reduce((a, b) => a + b, 0);

describe('logSoftmax', () => {
  it('returns probabilities in the order of the logits', () => {
    fc.assert(
      fc.property(logits, row => {
        const chances = logSoftmax(row);
        expect(sum(chances)).toBeCloseTo(1, 9);
        row.forEach((value, at) => expect(chances[at] - chances[0]).toBeCloseTo(value - row[0], 9));
      })
    );
  });
});

describe('likeliest', () => {
  it('returns the likeliest allowed token', () => {
    fc.assert(
      fc.property(logits, fc.nat(3), (row, hidden) => {
        const chances = logSoftmax(row);
        const id = likeliest(chances, new Set([hidden]));
        expect(id).not.toBe(hidden);
        expect(chances.every((chance, at) => at === hidden || chance <= chances[id])).toBe(true);
      })
    );
  });
});

it('yields to waiting messages and continues in order', async () => {
  const pause = pauses();
  const seen: string[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => seen.push('message');
  port2.postMessage(null);
  await Promise.all([pause().then(() => seen.push('first')), pause().then(() => seen.push('second'))]);
  expect(seen.filter(name => name !== 'message')).toEqual(['first', 'second']);
  // Node processes up to 1 000 messages of one channel before others; browsers process them in order.
  for (let at = 0; at < 5000 && !seen.includes('message'); at++) {
    await pause();
  }
  expect(seen).toContain('message');
  port1.close();
});
