import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Sequence } from './sequence';

const SUFFIX_MARK = 8;

/** The token at each position of the KV cache. */
class Memory {
  readonly slots: number[] = [];
  readonly sequence = new Sequence((from, to, count) => {
    this.slots.splice(to, count, ...this.slots.slice(from, from + count));
  }, SUFFIX_MARK);

  /** Evaluate a text in at most this many batches; return the number of evaluated tokens. */
  read(text: readonly number[], batches = Infinity): number {
    let count = 0;
    for (let left = 1; left > 0 && batches > 0; batches--) {
      const start = this.sequence.next(text);
      const batch = text.slice(start, start + 4);
      expect(batch.length).toBeGreaterThan(0);
      this.slots.splice(start, batch.length, ...batch);
      this.sequence.grow(batch);
      count += batch.length;
      left = this.sequence.left(text);
    }
    return count;
  }
}

const token = fc.nat(2);
const part = fc.array(token, { maxLength: 12 });

describe('Sequence', () => {
  it('evaluates from the first difference, at least the last token', () => {
    const memory = new Memory();
    expect(memory.read([1, 2, 3])).toBe(3);
    expect(memory.read([1, 2, 3, 4])).toBe(1);
    expect(memory.read([1, 2, 3, 4])).toBe(1);
    expect(memory.read([1, 2])).toBe(1);
    expect(memory.read([1, 2, 3, 4])).toBe(2);
    expect(memory.read([5, 2, 3, 4])).toBe(4);
  });

  it('contains the whole text once the plan is done, after any earlier plans', () => {
    const step = fc.record({
      before: part,
      typed: part,
      later: fc.nat(30),
      batches: fc.constantFrom(1, 2, Infinity)
    });
    const suffix = Array.from({ length: 30 }, (_, at) => at % 3);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), steps => {
        const memory = new Memory();
        for (const { before, typed, later, batches } of steps) {
          const text = [7, ...before, SUFFIX_MARK, ...suffix.slice(later), 9, ...typed];
          memory.read(text, batches);
          if (memory.sequence.left(text) === 0) {
            expect(memory.slots.slice(0, text.length)).toEqual(text);
          }
        }
      }),
      { numRuns: 500 }
    );
  });

  it('reuses the generated text once it is accepted', () => {
    const memory = new Memory();
    const [typed, written] = [10, 200].map(first => Array.from({ length: 16 }, (_, at) => first + at));
    memory.read([7, ...typed, 8, 9, ...written]);
    expect(memory.read([7, ...typed, ...written, 8, 9])).toBe(2);
    expect(memory.slots.slice(0, 35)).toEqual([7, ...typed, ...written, 8, 9]);
  });

  it('evaluates the suffix again when the cursor moves down, unless the window slides', () => {
    const [context, cell] = [10, 1000].map(first => Array.from({ length: 40 }, (_, at) => first + at));
    const at = (line: number, before = context) => [
      7,
      ...before,
      SUFFIX_MARK,
      ...cell.slice(line),
      9,
      ...cell.slice(0, line)
    ];
    const memory = new Memory();
    memory.read(at(0));
    expect(memory.read(at(10))).toBe(41);
    expect(memory.read(at(10, context.slice(20)))).toBe(1);
  });

  it('keeps the remaining text after the window slides', () => {
    const [gone, kept] = [10, 1000].map(first => Array.from({ length: 400 }, (_, at) => first + at));
    const memory = new Memory();
    memory.read([7, ...gone, ...kept, 8, 9]);
    expect(memory.read([7, ...kept, 5, 8, 9])).toBe(3);
    // A text that begins otherwise shares nothing.
    expect(memory.read([6, ...kept, 8, 9])).toBe(403);
  });
});
