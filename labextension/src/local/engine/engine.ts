/** A model in WebAssembly: prompt evaluation and logits. */

import type { IEngineRequest, IToken } from '../engineinterface';
import { pauses, write } from './generation';
import { ModelError, readGguf } from './gguf';
import { Sequence } from './sequence';
import { type IPlace, type IShape, placesOf, shapeOf } from './shape';
import { Vocabulary } from './vocabulary';

/** The exports of `labextension/wasm/llama.c`. */
interface IExports {
  memory: WebAssembly.Memory;
  create(
    width: number,
    inner: number,
    layers: number,
    heads: number,
    keyHeads: number,
    vocabulary: number,
    length: number,
    epsilon: number,
    tied: number
  ): number;
  norm(layer: number, which: number): number;
  rotations(): number;
  tokens(): number;
  staging(): number;
  logits(n: number): number;
  put_rows(layer: number, which: number, four: number, type: number, present: number): number;
  evaluate(start: number, count: number, outputs: number): void;
  move(from: number, to: number, count: number): void;
}

/** Tokens per batch. */
export const BATCH = 8;
const ROWS = 4; // copied into a matrix at a time

export class Engine {
  readonly vocabulary: Vocabulary;
  readonly contextSize: number;
  /** The number of tokens evaluated so far. */
  evaluated = 0;
  /** The number of draft tokens in the last batch. */
  guessed = 0;
  private readonly wasm: IExports;
  private readonly sequence: Sequence;
  private pause: (() => Promise<void>) | undefined;
  private outputs = 0; // rows of the last batch with logits

  private constructor(wasm: IExports, shape: IShape, vocabulary: Vocabulary) {
    this.wasm = wasm;
    this.vocabulary = vocabulary;
    this.contextSize = shape.length;
    this.sequence = new Sequence((from, to, count) => wasm.move(from, to, count), vocabulary.marks.suffix);
  }

  /** Load a model. Throws a `ModelError` with the reason if it cannot be used. */
  static load(bytes: Uint8Array, module: WebAssembly.Module): Engine {
    const file = readGguf(bytes);
    const shape = shapeOf(file);
    const places = placesOf(file, shape);
    const vocabulary = new Vocabulary(file.values);
    if (vocabulary.size !== shape.vocabulary) {
      throw new ModelError(
        'The model file is damaged: the sizes of its embeddings and its vocabulary differ.'
      );
    }
    const wasm = new WebAssembly.Instance(module).exports as unknown as IExports;
    const { width, inner, layers, heads, keyHeads, length, epsilon } = shape;
    const tied = Number(shape.tied);
    if (!wasm.create(width, inner, layers, heads, keyHeads, vocabulary.size, length, epsilon, tied)) {
      throw new ModelError('There is not enough memory for the model. Close other tabs and try again.');
    }
    const finite = [
      ...places.norms.map(([layer, which, place]) => putNorm(wasm, layer, which, place)),
      ...places.matrices.map(([layer, which, place]) => putMatrix(wasm, layer, which, place))
    ];
    if (!finite.every(Boolean)) {
      throw new ModelError(
        'The model file is damaged: it contains weights that are not finite. Download it again.'
      );
    }
    putRotations(wasm, shape);
    return new Engine(wasm, shape, vocabulary);
  }

  /**
   * Evaluate the next batch of the tokens that are not in the KV cache. Returns how many tokens are left; with none left,
   * `logits` is valid. The last batch of a text also evaluates a draft, as far as it has room.
   */
  read(text: readonly number[], guess: readonly number[] = []): number {
    if (!text.length || text.length > this.contextSize) {
      throw new RangeError(`The engine reads between 1 and ${this.contextSize} tokens.`);
    }
    const start = this.sequence.next(text);
    const count = Math.min(BATCH, text.length - start);
    const ends = start + count === text.length;
    const room = ends ? Math.min(BATCH - count, this.contextSize - text.length) : 0;
    const batch = [...text.slice(start, start + count), ...guess.slice(0, room)];
    if (batch.some(id => !(id >= 0 && id < this.vocabulary.size))) {
      throw new RangeError('There is no such token.');
    }
    new Int32Array(this.wasm.memory.buffer, this.wasm.tokens(), batch.length).set(batch);
    this.guessed = batch.length - count;
    this.outputs = ends ? count - 1 : batch.length;
    this.wasm.evaluate(start, batch.length, this.outputs);
    this.evaluated += batch.length;
    this.sequence.grow(batch);
    return this.sequence.left(text);
  }

  /** The logits after the text and this many draft tokens. Valid until the next batch. */
  logits(guessed = 0): Float32Array {
    const at = this.wasm.logits(this.outputs + guessed);
    const row = new Float32Array(this.wasm.memory.buffer, at, this.vocabulary.size);
    if (!row.every(Number.isFinite)) {
      throw new ModelError(
        'The model computes values that are not finite: its weights are damaged. Download it again.'
      );
    }
    return row;
  }

  /** Generate a text; end and stand-in tokens are not yielded. It stops after the current batch. */
  generate(ask: IEngineRequest, signal: AbortSignal): AsyncGenerator<IToken> {
    return write(this, ask, (this.pause ??= pauses()), signal);
  }
}

function putNorm(wasm: IExports, layer: number, which: number, { tensor, columns }: IPlace): boolean {
  const row = new Float32Array(wasm.memory.buffer, wasm.norm(layer, which), columns);
  const view = new DataView(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  for (let at = 0; at < columns; at++) {
    row[at] = view.getFloat32(4 * at, true);
  }
  return row.every(Number.isFinite);
}

function putMatrix(wasm: IExports, layer: number, which: number, { tensor, rows }: IPlace): boolean {
  const staging = new Uint8Array(wasm.memory.buffer, wasm.staging());
  const size = tensor.data.length / rows;
  // The kernel reads pairs of four rows: missing rows of the last pair are zero.
  for (let four = 0; four < 2 * Math.ceil(rows / (2 * ROWS)); four++) {
    const from = four * ROWS;
    const present = Math.max(0, Math.min(ROWS, rows - from));
    staging.set(tensor.data.subarray(from * size, (from + present) * size));
    if (!wasm.put_rows(layer, which, four, tensor.type, present)) {
      return false;
    }
  }
  return true;
}

/** The rotary embedding of every position: cosines, then signed sines. */
function putRotations(wasm: IExports, { width, heads, length, frequency }: IShape): void {
  const size = width / heads;
  const table = new Float32Array(wasm.memory.buffer, wasm.rotations(), length * 2 * size);
  for (let pair = 0; pair < size / 2; pair++) {
    const speed = frequency ** ((-2 * pair) / size);
    for (let position = 0; position < length; position++) {
      const at = position * 2 * size + 2 * pair;
      const sine = Math.sin(position * speed);
      table[at] = table[at + 1] = Math.cos(position * speed);
      table[at + size] = -sine;
      table[at + size + 1] = sine;
    }
  }
}
