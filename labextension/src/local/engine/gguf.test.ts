import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MOST_BYTES, ModelError, readGguf } from './gguf';
import { MODEL, changed, written } from '../testing/model';

/** The file with some of its bytes replaced. */
function patched(at: number, ...bytes: number[]): Uint8Array {
  const copy = MODEL.slice();
  copy.set(bytes, at);
  return copy;
}

const ALL = Array<number>(8).fill(0xff);

describe('readGguf', () => {
  it('reads values and tensors', () => {
    const { values, tensors } = readGguf(MODEL);
    expect(values.get('general.architecture')).toBe('llama');
    expect(values.get('llama.embedding_length')).toBe(32);
    expect(tensors.get('token_embd.weight')).toMatchObject({ type: 8, shape: [32, 128] });
    expect(tensors.size).toBe(2 + 3 * 9);
  });

  it('reads a written file', () => {
    const { values, tensors } = readGguf(MODEL);
    expect(readGguf(changed({}))).toEqual({ values, tensors });
  });

  it.each([
    ['an empty file', new Uint8Array()],
    ['a web page', new TextEncoder().encode('<!DOCTYPE html><html><body>404</body></html>')],
    ['another magic', patched(0, 0x47, 0x47, 0x4d, 0x4c)],
    ['version 1', patched(4, 1)],
    ['the other byte order', patched(4, 0, 0, 0, 3)],
    ['2⁶⁴ − 1 tensors', patched(8, ...ALL)],
    ['4 000 tensors in a file for a few', patched(8, 0xa0, 0x0f)],
    ['2⁶⁴ − 1 values', patched(16, ...ALL)],
    ['a name of 2⁶⁴ − 1 bytes', patched(24, ...ALL)],
    ['2 GB and more than is read', new Uint8Array(MOST_BYTES + 1)]
  ])('refuses %s', (_, bytes) => {
    expect(() => readGguf(bytes)).toThrow(ModelError);
  });

  it.each([
    ['multiplies past 2³²', [65536, 65537]],
    ['multiplies past 2⁶⁴', [2 ** 40, 2 ** 40]],
    ['is empty', [32, 0]],
    ['has no dimension', []],
    ['has five dimensions', [32, 1, 1, 1, 1]],
    ['ends within a block', [33, 128]]
  ])('refuses a shape that %s', (_, shape) => {
    const file = readGguf(MODEL);
    file.tensors.set('token_embd.weight', { type: 8, shape, data: new Uint8Array(34) });
    expect(() => readGguf(written(file))).toThrow(ModelError);
  });

  it('refuses tensors that share bytes: each takes memory', () => {
    const { values, tensors } = readGguf(MODEL);
    const size = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
    const [[first, { data }]] = tensors;
    tensors.set(first, { type: 8, shape: [32, Math.floor(size / 34)], data });
    expect(() => readGguf(written({ values, tensors }))).toThrow('overlap');
  });

  it('refuses weights of a type that it does not know, and says what to do', () => {
    const file = readGguf(MODEL);
    file.tensors.set('token_embd.weight', { type: 12, shape: [32, 128], data: new Uint8Array(34) });
    expect(() => readGguf(written(file))).toThrow('Quantise it to Q8_0');
  });

  it.each([0, 7, 12, 1 << 20, 'wide'])('refuses an alignment of %s', alignment => {
    expect(() => readGguf(changed({ 'general.alignment': alignment }))).toThrow(ModelError);
  });

  it('takes no memory for more than a model needs, also where the file is as long as it claims', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`key.${at}`, at]));
    expect(() => readGguf(changed(many))).toThrow('too many entries');
    const list = Array<number>(600_000).fill(1);
    expect(() => readGguf(changed({ list }))).not.toThrow();
    expect(() => readGguf(changed({ list, another: list }))).toThrow('too many entries');
  }, 30_000);

  it('refuses a file that is cut short anywhere', () => {
    const last = MODEL.length - 1;
    const places = Array.from({ length: 4096 }, (_, at) => at);
    for (let at = 4096; at < last; at += 97) {
      places.push(at);
    }
    for (const at of [...places, last]) {
      expect(() => readGguf(MODEL.subarray(0, at))).toThrow(ModelError);
    }
  });

  it('reads random bytes or refuses them', () => {
    const head = MODEL.subarray(0, 24);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), tail => {
        const bytes = new Uint8Array([...head, ...tail]);
        expect(() => readGguf(bytes)).toThrow(ModelError);
      })
    );
  });
});
