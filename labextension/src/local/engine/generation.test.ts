import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BATCH, Engine } from './engine';
import { write } from './generation';
import type { IAsk, IToken, IUsage } from './generation';
import { CASES, MODEL, MODULE } from './testing/model';

const engine = Engine.load(MODEL, MODULE);
const soon = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
const PROMPT = CASES[8].ids;

async function all(
  ask: Partial<IAsk>,
  { pause = soon, signal = new AbortController().signal, on = engine } = {}
): Promise<{ tokens: IToken[]; usage: IUsage }> {
  const writing = write(on, { prompt: PROMPT, most: 24, ...ask }, pause, signal);
  const tokens: IToken[] = [];
  for (;;) {
    const next = await writing.next();
    if (next.done) {
      return { tokens, usage: next.value };
    }
    tokens.push(next.value);
  }
}

describe('write', () => {
  it('writes the likeliest tokens, one after the other', async () => {
    const { tokens, usage } = await all({ top: 3 });
    const text = [...PROMPT];
    for (const { id, text: character, probability, top } of tokens) {
      while (engine.read(text)) {
        // The next batch.
      }
      const row = Array.from(engine.logits());
      const mass = row.reduce((sum, value) => sum + Math.exp(value), 0);
      expect(probability).toBeCloseTo(Math.exp(row[id]) / mass, 5);
      expect(engine.vocabulary.decode([id])).toBe(character);
      expect(character.length).toBe(1);
      expect(top.length).toBe(3);
      expect(top[0][1]).toBeGreaterThanOrEqual(top[1][1]);
      text.push(id);
    }
    expect(usage).toMatchObject({ prompt: PROMPT.length, written: tokens.length, drafted: 0 });
    expect(tokens.length === 24).toBe(usage.finish === 'length');
  });

  it('reads the prompt alone where nothing is to be written', async () => {
    engine.clear();
    const { tokens, usage } = await all({ most: 0 });
    expect(tokens).toEqual([]);
    expect(usage).toMatchObject({ evaluated: PROMPT.length, cached: 0, written: 0, finish: 'length' });
  });

  it('makes no word longer that it is held to', async () => {
    const word = fc.stringMatching(/^[a-z_]{1,6}$/);
    await fc.assert(
      fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 4 }), fc.nat(99), async (words, seed) => {
        const ways = words.map(each => engine.vocabulary.encode(each));
        const { tokens } = await all({ ways, seed, temperature: 9, most: 12 });
        expect(words).toContain(/^\w*/.exec(tokens.map(({ text }) => text).join(''))?.[0]);
      }),
      { numRuns: 30 }
    );
  });

  it('goes on as it likes behind a sign that it is held to', async () => {
    const ways = [engine.vocabulary.encode('a"')];
    const texts = await Promise.all(
      Array.from({ length: 30 }, (_, seed) => all({ ways, seed, temperature: 9, topP: 1, most: 3 }))
    );
    expect(texts.some(({ tokens }) => /^\w$/.test(tokens[2]?.text ?? ''))).toBe(true);
  });

  it('evaluates what was typed alone when a text is gone on with', async () => {
    engine.clear();
    const first = await all({ most: 5 });
    const typed = [...PROMPT, ...first.tokens.map(({ id }) => id)];
    const { usage } = await all({ prompt: [...typed, 9], most: 1 });
    expect(usage.evaluated).toBeLessThanOrEqual(2);
    expect(usage.cached).toBe(typed.length + 1 - usage.evaluated);
  });

  it('writes the same whatever the hint is, and evaluates in batches what a right one says', async () => {
    const plain = await all({});
    const right = plain.tokens.map(({ id }) => id);
    await fc.assert(
      fc.asyncProperty(fc.nat(right.length), fc.array(fc.nat(97), { maxLength: 9 }), async (kept, wrong) => {
        const { tokens, usage } = await all({ hint: [...right.slice(0, kept), ...wrong] });
        expect(tokens).toEqual(plain.tokens);
        expect(usage.accepted).toBeGreaterThanOrEqual(kept - Math.ceil(kept / 8) - 1);
        expect(usage.accepted).toBeLessThanOrEqual(usage.drafted);
      }),
      { numRuns: 20 }
    );
  });

  it('draws the same for the same seed, with or without a hint', async () => {
    const drawn = { temperature: 1.5, topP: 1, topK: 0 };
    const once = await all({ ...drawn, seed: 4 });
    expect((await all({ ...drawn, seed: 4 })).tokens).toEqual(once.tokens);
    const hint = once.tokens.map(({ id }) => id);
    expect((await all({ ...drawn, seed: 4, hint })).tokens).toEqual(once.tokens);
    expect((await all({ ...drawn, seed: 5 })).tokens).not.toEqual(once.tokens);
  });

  it('does not begin with what is banned, and may write it later', async () => {
    const plain = await all({ most: 1, top: 2 });
    const other = await all({ most: 1, banned: plain.tokens[0].id });
    expect(other.tokens[0].id).toBe(plain.tokens[0].top[1][0]);
    expect(other.tokens[0].probability).toBeGreaterThan(Math.exp(plain.tokens[0].top[1][1]));
  });

  it('ends where the context is full', async () => {
    const prompt = Array.from({ length: engine.length - 3 }, (_, at) => at % 97);
    const { usage } = await all({ prompt, most: 20 });
    expect(usage.written).toBeLessThanOrEqual(3);
  });

  it('ends with the batch in which it is aborted, and tells nothing more', async () => {
    for (const batches of [1, 2, 3, 5]) {
      engine.clear();
      const controller = new AbortController();
      let paused = 0;
      const before = engine.evaluated;
      const pause = async (): Promise<void> => {
        await soon();
        if (++paused === batches) {
          controller.abort();
        }
      };
      const { tokens, usage } = await all({}, { pause, signal: controller.signal });
      expect(usage.finish).toBe('aborted');
      expect(engine.evaluated - before).toBeLessThanOrEqual(batches * BATCH);
      expect(tokens.length).toBe(Math.max(0, batches - Math.ceil(PROMPT.length / BATCH)));
    }
  });

  it('evaluates nothing where it was aborted before it began', async () => {
    const before = engine.evaluated;
    const { usage } = await all({}, { signal: AbortSignal.abort() });
    expect(usage.finish).toBe('aborted');
    expect(engine.evaluated).toBe(before);
  });

  it('writes one text after the other, each as if it were alone, whoever leaves early', async () => {
    const prompts = [CASES[6].ids, CASES[7].ids, [...CASES[6].ids, 5, 6]];
    const alone = [];
    for (const prompt of prompts) {
      alone.push((await all({ prompt })).tokens);
    }
    const left = write(engine, { prompt: [1, 2, 3], most: 9 }, soon, new AbortController().signal);
    const first = left.next();
    const waiting = Promise.all(prompts.map(prompt => all({ prompt })));
    await first;
    await left.return(undefined as never);
    const together = await waiting;
    expect(together.map(({ tokens }) => tokens)).toEqual(alone);
  });
});
