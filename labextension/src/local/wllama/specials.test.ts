import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { specialsOf } from './specials';

const MODEL = new Uint8Array(readFileSync('ui-tests/model/rectangles.gguf')).slice(0, 20000);

const u32 = (value: number): number[] => [...new Uint8Array(new Uint32Array([value]).buffer)];
const u64 = (value: bigint | number): number[] => [
  ...new Uint8Array(new BigUint64Array([BigInt(value)]).buffer)
];
const text = (value: string): number[] => {
  const bytes = [...new TextEncoder().encode(value)];
  return [...u64(bytes.length), ...bytes];
};
const list = (type: number, items: number[][]): number[] => [
  ...u32(9),
  ...u32(type),
  ...u64(items.length),
  ...items.flat()
];
const header = (entries: [string, number[]][]): Uint8Array =>
  new Uint8Array([
    ...u32(0x46554747),
    ...u32(3),
    ...u64(0),
    ...u64(entries.length),
    ...entries.flatMap(([key, value]) => [...text(key), ...value])
  ]);
const vocabulary = (tokens: [string, number][]): [string, number[]][] => [
  ['general.name', [...u32(8), ...text('a name')]],
  ['scores', list(6, [u32(0), u32(0)])],
  ['lists', list(9, [[...u32(0), ...u64(2), 1, 2]])],
  [
    'tokenizer.ggml.tokens',
    list(
      8,
      tokens.map(([token]) => text(token))
    )
  ],
  ['flag', [...u32(7), 1]],
  [
    'tokenizer.ggml.token_type',
    list(
      5,
      tokens.map(([, type]) => u32(type))
    )
  ]
];

describe('the control tokens of a GGUF file', () => {
  it('are those that it calls so', () => {
    const file = header(
      vocabulary([
        ['a', 1],
        ['<s>', 3],
        ['<unk>', 2],
        ['  ', 4],
        ['', 3]
      ])
    );
    expect(specialsOf(file)).toEqual({ controls: ['<s>', '<unk>'], marks: null });
  });

  it('mark the parts of a prompt where the file says which do', () => {
    const { controls, marks } = specialsOf(MODEL);
    expect(controls.length).toBeGreaterThan(3);
    expect(marks?.every(mark => controls.includes(mark))).toBe(true);
    expect(new Set(marks).size).toBe(3);
  });

  it('mark them as their family does where it does not say so', () => {
    const known = ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'];
    const file = header(vocabulary(known.map(token => [token, 3])));
    expect(specialsOf(file).marks).toEqual(known);
  });

  it('of a file that is cut or damaged are refused in words', () => {
    const [, end] = [0, specialsOfLength(MODEL)];
    for (let length = 0; length < end; length += 97) {
      expect(() => specialsOf(MODEL.slice(0, length))).toThrow(/cut short|not a GGUF/);
    }
    const huge = header([]);
    huge.set(u64(2n ** 64n - 1n), 16);
    expect(() => specialsOf(huge)).toThrow('cut short');
  });

  it('are read off any bytes, or these are refused', () => {
    fc.assert(
      fc.property(fc.nat(4000), fc.uint8Array({ minLength: 1, maxLength: 12 }), (at, bytes) => {
        const file = MODEL.slice();
        file.set(bytes, at);
        try {
          expect(Array.isArray(specialsOf(file).controls)).toBe(true);
        } catch (reason) {
          expect((reason as Error).name).toBe('ModelError');
        }
      })
    );
  });
});

/** How many bytes of a file are needed. */
function specialsOfLength(file: Uint8Array): number {
  let [low, high] = [0, file.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    try {
      specialsOf(file.slice(0, middle));
      high = middle;
    } catch {
      low = middle + 1;
    }
  }
  return low;
}
