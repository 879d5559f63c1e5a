import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choose, likeliest, logSoftmax, random } from './sampling';

const logits = fc.array(fc.float({ min: -40, max: 40, noNaN: true }), { minLength: 4, maxLength: 20 });
const NOTHING = { hidden: new Set<number>() };
const sum = (row: ArrayLike<number>): number => Array.from(row, Math.exp).reduce((a, b) => a + b, 0);

describe('logSoftmax', () => {
  it('gives probabilities, in the order of the logits', () => {
    fc.assert(
      fc.property(logits, row => {
        const chances = logSoftmax(row);
        expect(sum(chances)).toBeCloseTo(1, 9);
        row.forEach((value, at) => expect(chances[at] - chances[0]).toBeCloseTo(value - row[0], 9));
      })
    );
  });

  it('shares the probability of what is banned among the others', () => {
    fc.assert(
      fc.property(logits, row => {
        const chances = logSoftmax(row, 1);
        expect(chances[1]).toBe(-Infinity);
        expect(sum(chances)).toBeCloseTo(1, 9);
      })
    );
  });
});

describe('choose', () => {
  it('takes the likeliest that may be shown, with its probability among all', () => {
    fc.assert(
      fc.property(logits, fc.nat(3), (row, hidden) => {
        const chances = logSoftmax(row);
        const [id, logarithm] = choose(chances, { hidden: new Set([hidden]) }, {}, () => 0);
        expect(id).not.toBe(hidden);
        expect(logarithm).toBe(chances[id]);
        expect(chances.every((chance, at) => at === hidden || chance <= logarithm)).toBe(true);
      })
    );
  });

  it('draws as often as a token is likely', () => {
    const row = logSoftmax([Math.log(0.5), Math.log(0.3), Math.log(0.2), -20]);
    const draw = random(3);
    const counts = [0, 0, 0, 0];
    for (let at = 0; at < 20000; at++) {
      counts[choose(row, NOTHING, { temperature: 1, topP: 1, topK: 0 }, draw)[0]]++;
    }
    [0.5, 0.3, 0.2, 0].forEach((share, id) => expect(counts[id] / 20000).toBeCloseTo(share, 1));
  });

  it('draws of the likeliest alone, as many or as much as is asked for', () => {
    fc.assert(
      fc.property(
        logits,
        fc.integer(),
        fc.integer({ min: 1, max: 3 }),
        fc.float({ min: 0, max: 1, noNaN: true }),
        (row, seed, topK, topP) => {
          const chances = logSoftmax(row);
          const [id] = choose(chances, NOTHING, { temperature: 2, topK, topP }, random(seed));
          const kept = likeliest(chances, topK);
          const at = kept.findIndex(([other]) => other === id);
          expect(at).toBeGreaterThanOrEqual(0);
          const all = kept.reduce((total, [, logarithm]) => total + Math.exp(logarithm), 0);
          const before = kept.slice(0, at).reduce((total, [, logarithm]) => total + Math.exp(logarithm), 0);
          expect(at === 0 || before < topP * all).toBe(true);
        }
      )
    );
  });
});

describe('random', () => {
  it('gives the same numbers for the same seed, from 0 to 1', () => {
    fc.assert(
      fc.property(fc.integer(), seed => {
        const [a, b] = [random(seed), random(seed)];
        for (let at = 0; at < 10; at++) {
          const value = a();
          expect(value).toBe(b());
          expect(value >= 0 && value < 1).toBe(true);
        }
      })
    );
  });
});
