import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type IEngineRequest, type ISampling, type IToken, type IUsage, newUsage } from '../engineinterface';
import { BATCH, Engine } from './engine';
import { likeliest, logSoftmax, write } from './generation';
import { CASES, MODEL, MODULE } from '../testing/model';

const soon = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
const load = (): Engine => Engine.load(MODEL, MODULE);
const engine = load();
const PROMPT = CASES[8].ids;

type Asked = Partial<Pick<IEngineRequest, 'prompt' | 'draft'> & ISampling>;

function asked({ prompt = PROMPT, draft = [], ...sampling }: Asked): IEngineRequest {
  return {
    prompt,
    draft,
    sampling: { maxTokens: 24, banned: null, ...sampling },
    usage: newUsage()
  };
}

async function all(
  some: Asked,
  { pause = soon, signal = new AbortController().signal, on = engine } = {}
): Promise<{ tokens: IToken[]; usage: IUsage }> {
  const ask = asked(some);
  const tokens: IToken[] = [];
  for await (const token of write(on, ask, pause, signal)) {
    tokens.push(token);
  }
  return { tokens, usage: ask.usage };
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
    const { tokens, usage } = await all({});
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
    expect(usage.draftedTokens).toBe(0);
  });

  it('evaluates only the prompt if no tokens are requested', async () => {
    const on = load();
    const { tokens, usage } = await all({ maxTokens: 0 }, { on });
    expect(tokens).toEqual([]);
    expect([on.evaluated, usage.cachedTokens]).toEqual([PROMPT.length, 0]);
  });

  it('evaluates only the typed text when a prompt continues', async () => {
    const on = load();
    const first = await all({ maxTokens: 5 }, { on });
    const typed = [...PROMPT, ...first.tokens.map(({ token }) => token)];
    const before = on.evaluated;
    const { usage } = await all({ prompt: [...typed, 9], maxTokens: 1 }, { on });
    expect(on.evaluated - before).toBeLessThanOrEqual(2);
    expect(usage.cachedTokens).toBe(typed.length + 1 - (on.evaluated - before));
  });

  it('generates the same with any draft, and evaluates a correct one in batches', async () => {
    const plain = await all({});
    const right = plain.tokens.map(({ token }) => token);
    await fc.assert(
      fc.asyncProperty(fc.nat(right.length), fc.array(fc.nat(97), { maxLength: 9 }), async (kept, wrong) => {
        const { tokens, usage } = await all({ draft: [...right.slice(0, kept), ...wrong] });
        expect(tokens).toEqual(plain.tokens);
        expect(usage.acceptedTokens).toBeGreaterThanOrEqual(kept - Math.ceil(kept / 8) - 1);
        expect(usage.acceptedTokens).toBeLessThanOrEqual(usage.draftedTokens);
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
    const prompt = Array.from({ length: engine.length - 3 }, (_, at) => at % 97);
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

  it('reports the usage even if the reader returns early', async () => {
    const on = load();
    const ask = asked({ draft: [1, 2, 3] });
    for await (const token of write(on, ask, soon, new AbortController().signal)) {
      expect(token.probability).toBeGreaterThan(0);
      break;
    }
    expect(ask.usage.promptMs).toBeGreaterThan(0);
    expect(ask.usage.predictedMs).toBeGreaterThanOrEqual(0);
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
