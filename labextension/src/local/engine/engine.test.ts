import fc from 'fast-check';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { BATCH, Engine } from './engine';
import { ModelError, readGguf } from './gguf';
import type { ITensor } from './gguf';
import { CASES, MODEL, MODULE, changed } from '../testing/model';

const load = (bytes = MODEL): Engine => Engine.load(bytes, MODULE);

function logits(engine: Engine, text: readonly number[], guess: readonly number[] = []): Float32Array {
  while (engine.read(text, guess)) {
    // The next batch.
  }
  return engine.logits().slice();
}

const largest = (row: ArrayLike<number>): number => {
  const values = Array.from(row);
  return values.indexOf(Math.max(...values));
};
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, at) => Math.abs(value - b[at])));

function tensorOf(bytes: Uint8Array, name: string): ITensor {
  const tensor = readGguf(bytes).tensors.get(name);
  if (!tensor) {
    throw new Error(name);
  }
  return tensor;
}

const token = fc.integer({ min: 0, max: 127 });
const text = fc.array(token, { minLength: 1, maxLength: 60 });
const memory = (engine: Engine): number =>
  (engine as unknown as { wasm: { memory: WebAssembly.Memory } }).wasm.memory.buffer.byteLength;

describe('Engine', () => {
  it('computes the same logits as llama.cpp', () => {
    const engine = load();
    for (const { ids, logits: known } of CASES) {
      const row = logits(engine, ids);
      // Less than llama.cpp is off when it computes with eight bits: tests/test_browser_engine.py.
      expect(distance(row, known)).toBeLessThan(0.01);
      expect(largest(row)).toBe(largest(known));
    }
  });

  it('does not depend on earlier prompts', () => {
    const engine = load();
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), fc.nat(60), (texts, shared) => {
        const all = texts.map(one => [...texts[0].slice(0, shared), ...one]);
        const rows = all.map(one => logits(engine, one));
        all.forEach((one, at) => expect(logits(load(), one)).toEqual(rows[at]));
      }),
      { numRuns: 30 }
    );
  });

  it('does not depend on a draft, and returns the draft’s logits', () => {
    fc.assert(
      fc.property(text, fc.array(token, { maxLength: 20 }), (read, guess) => {
        const engine = load();
        const row = logits(engine, read, guess);
        const rows = Array.from({ length: engine.guessed }, (_, at) => engine.logits(at + 1).slice());
        expect(rows.length).toBe(Math.min(guess.length, BATCH - (((read.length - 1) % BATCH) + 1)));
        expect(logits(load(), read)).toEqual(row);
        rows.forEach((one, at) => {
          expect(logits(engine, [...read, ...guess.slice(0, at + 1)])).toEqual(one);
        });
      }),
      { numRuns: 30 }
    );
  });

  it('accepts a prompt up to the context size', () => {
    const engine = load();
    const whole = Array.from({ length: engine.contextSize }, (_, at) => at % 98);
    expect(engine.contextSize).toBe(512);
    expect(logits(engine, whole, [1, 2]).every(Number.isFinite)).toBe(true);
    expect(engine.guessed).toBe(0);
    expect(() => engine.read([...whole, 1])).toThrow(RangeError);
    expect(() => engine.read([])).toThrow(RangeError);
    expect(() => engine.read([128])).toThrow(RangeError);
    expect(() => engine.read([-1])).toThrow(RangeError);
  });

  it('limits the context size of the model', () => {
    const engine = load(changed({ 'llama.context_length': 1 << 20 }));
    expect(engine.contextSize).toBe(2048);
    const whole = Array.from({ length: 2048 }, (_, at) => (at * 31) % 98);
    expect(logits(engine, whole).every(Number.isFinite)).toBe(true);
  });

  it('supports tied embeddings', () => {
    const { tensors } = readGguf(MODEL);
    const embedding = tensors.get('token_embd.weight');
    const engine = load(changed({}, { 'output.weight': undefined }));
    const untied = load(changed({}, { 'output.weight': embedding }));
    expect(logits(engine, CASES[3].ids)).toEqual(logits(untied, CASES[3].ids));
  });

  it('supports half and single precision', () => {
    const wide = (name: string, type: 0 | 1): ITensor => {
      const { shape } = tensorOf(MODEL, name);
      const rows = shape.reduce((a, b) => a * b, 1) / 32;
      const values = Array.from({ length: rows * 32 }, (_, at) => {
        // A scale of 2⁻⁶ and whole weights up to 127: exact in any precision.
        const first = at % 32 === 0 ? 127 : ((at * 37) % 255) - 127;
        return first / 64;
      });
      const bytes = type === 0 ? new Uint8Array(Float32Array.from(values).buffer) : halves(values);
      return { type, shape, data: bytes };
    };
    const name = 'blk.1.ffn_up.weight';
    const single = logits(load(changed({}, { [name]: wide(name, 0) })), CASES[3].ids);
    const half = logits(load(changed({}, { [name]: wide(name, 1) })), CASES[3].ids);
    expect(half).toEqual(single);
    expect(distance(single, logits(load(), CASES[3].ids))).toBeGreaterThan(0.01);
  });
});

/** Numbers that half precision has, as its bytes. */
function halves(values: number[]): Uint8Array {
  const bits = Uint16Array.from(values, value => {
    const [single] = new Uint32Array(Float32Array.of(value).buffer);
    return value === 0 ? 0 : ((single >>> 16) & 0x8000) | (((single & 0x7fffffff) - 0x38000000) >>> 13);
  });
  return new Uint8Array(bits.buffer);
}

describe('a model that cannot be used', () => {
  const tensor = (name: string, change: (data: Uint8Array) => void): Uint8Array => {
    const found = tensorOf(MODEL.slice(), name);
    change(found.data);
    return changed({}, { [name]: found });
  };

  it.each([
    ['another architecture', changed({ 'general.architecture': 'qwen2' }), 'architecture'],
    ['no architecture', changed({ 'general.architecture': undefined }), 'architecture'],
    ['no heads', changed({ 'llama.attention.head_count': 0 }), 'head_count'],
    [
      'a number of heads that is not a multiple',
      changed({ 'llama.attention.head_count_kv': 3 }),
      'head_count_kv'
    ],
    ['four billion layers', changed({ 'llama.block_count': 0xffffffff }), 'block_count'],
    ['2⁶⁴ − 1 layers', changed({ 'llama.block_count': 2n ** 64n - 1n }), 'block_count'],
    ['more layers than tensors', changed({ 'llama.block_count': 4 }), 'blk.3'],
    ['fewer layers than tensors', changed({ 'llama.block_count': 2 }), 'tensors'],
    ['another width', changed({ 'llama.embedding_length': 64 }), 'dimension'],
    ['a width that is a string', changed({ 'llama.embedding_length': '32' }), 'embedding_length'],
    ['an epsilon of zero', changed({ 'llama.attention.layer_norm_rms_epsilon': 0 }), 'epsilon'],
    ['another rotation', changed({ 'llama.rope.dimension_count': 8 }), 'rope'],
    ['scaled positions', changed({ 'llama.rope.scaling.type': 'yarn' }), 'positions'],
    ['another kind of vocabulary', changed({ 'tokenizer.ggml.model': 'llama' }), 'vocabulary'],
    [
      'a vocabulary of words',
      changed({ 'tokenizer.ggml.tokens': Array<string>(128).fill('ab') }),
      'vocabulary'
    ],
    ['fewer tokens than embeddings', changed({ 'tokenizer.ggml.tokens': ['a'] }), 'vocabulary'],
    ['no middle marker', changed({ 'tokenizer.ggml.fim_mid_token_id': undefined }), 'fim_mid'],
    ['a marker that is a character', changed({ 'tokenizer.ggml.fim_mid_token_id': 50 }), 'fim_mid'],
    [
      'a norm that is not a number',
      tensor('blk.1.ffn_norm.weight', data => data.set([0, 0, 0xc0, 0x7f], 8)),
      'finite'
    ],
    [
      'a scale that is not a number',
      tensor('blk.1.ffn_up.weight', data => data.set([1, 0x7c], 34)),
      'finite'
    ],
    ['an infinite scale', tensor('token_embd.weight', data => data.set([0, 0xfc], 34 * 127)), 'finite'],
    ['an unknown tensor', changed({}, { extra: { type: 0, shape: [1], data: new Uint8Array(4) } }), 'tensors']
  ])('with %s is rejected with a message', (_, bytes, words) => {
    expect(() => load(bytes)).toThrow(ModelError);
    expect(() => load(bytes)).toThrow(words);
  });

  it('never traps for any damaged bytes', () => {
    const data = MODEL.length - 40000; // the weights begin before that
    const place = fc.oneof(
      { weight: 3, arbitrary: fc.nat(data) },
      { weight: 1, arbitrary: fc.nat(MODEL.length - 1) }
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 3 }), changes => {
        const bytes = MODEL.slice();
        changes.forEach(([at, value]) => (bytes[at] = value));
        try {
          logits(load(bytes), CASES[4].ids.slice(0, 5));
        } catch (error) {
          expect(error).toBeInstanceOf(ModelError);
        }
      }),
      { numRuns: 300 }
    );
  });

  it('never traps with the largest weights', () => {
    const full = tensor('blk.0.ffn_up.weight', data => {
      for (let at = 0; at < data.length; at++) {
        data[at] = at % 34 === 0 ? 0xff : at % 34 === 1 ? 0x7b : 0x80;
      }
    });
    expect(() => logits(load(full), CASES[4].ids)).not.toThrow(WebAssembly.RuntimeError);
  });
});

describe('memory', () => {
  it('does not grow in 10 000 keystrokes', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const engine = load();
    const typed: number[] = [];
    const type = (count: number): void => {
      for (let key = 0; key < count; key++) {
        if (typed.length > 200 || (key * 7919) % 11 === 0) {
          typed.splice((key * 31) % typed.length || 0, 40);
        }
        typed.push((key * 7919) % 98);
        logits(engine, typed);
      }
    };
    type(1000);
    collect();
    const wasm = memory(engine);
    const heap = process.memoryUsage().heapUsed;
    type(10000);
    collect();
    expect(memory(engine)).toBe(wasm);
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(1e6);
  });
});
