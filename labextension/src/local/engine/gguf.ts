/** A GGUF parser that validates each length and offset against the file's size. Pure. */

import { describeSize } from '../../filesize';

/** A model cannot be used; the message is for the user. */
export class ModelError extends Error {
  override name = 'ModelError';
}

export type Value = number | bigint | boolean | string | number[] | string[];

export interface ITensor {
  /** The number in GGUF: see `TYPES`. */
  type: number;
  /** The row length is first. */
  shape: number[];
  data: Uint8Array;
}

export interface IGguf {
  values: Map<string, Value>;
  tensors: Map<string, ITensor>;
}

export const MOST_BYTES = 64 * 1024 * 1024;
/** Block sizes by type number. */
export const TYPES: Record<number, { name: string; weights: number; bytes: number } | undefined> = {
  0: { name: 'F32', weights: 1, bytes: 4 },
  1: { name: 'F16', weights: 1, bytes: 2 },
  8: { name: 'Q8_0', weights: 32, bytes: 34 }
};
const MAGIC = 0x46554747; // "GGUF"
const VERSIONS = [2, 3];
const STRING = 8;
const ARRAY = 9;
/** The minimum size in bytes of a value of each type. */
const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];
/** Readers of the types with a fixed size. */
const READERS: Record<number, (view: DataView, at: number) => Value> = {
  0: (view, at) => view.getUint8(at),
  1: (view, at) => view.getInt8(at),
  2: (view, at) => view.getUint16(at, true),
  3: (view, at) => view.getInt16(at, true),
  4: (view, at) => view.getUint32(at, true),
  5: (view, at) => view.getInt32(at, true),
  6: (view, at) => view.getFloat32(at, true),
  7: (view, at) => view.getUint8(at) !== 0,
  10: (view, at) => view.getBigUint64(at, true),
  11: (view, at) => view.getBigInt64(at, true),
  12: (view, at) => view.getFloat64(at, true)
};
// Limits far above any supported model: they bound the memory that a damaged file can allocate.
const MOST_ENTRIES = 4096;
const MOST_ITEMS = 1 << 20;
const LONGEST_NAME = 256;
const MOST_DIMENSIONS = 4;

class Reader {
  private readonly view: DataView;
  private readonly decoder = new TextDecoder();
  private items = 0; // items of all lists so far
  at = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Skip bytes and return their start. */
  private skip(size: number): number {
    const start = this.at;
    if (size > this.bytes.length - start) {
      throw new ModelError('The model file is truncated. Download it again.');
    }
    this.at += size;
    return start;
  }

  u32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.skip(8), true);
  }

  /** Read a count of items with a minimum size in bytes. */
  count(size: number, most = MOST_BYTES): number {
    const count = this.u64();
    if (count > BigInt(Math.floor((this.bytes.length - this.at) / size))) {
      throw new ModelError(
        'The model file is damaged: it declares more data than it contains. Download it again.'
      );
    }
    if (count > BigInt(most)) {
      throw new ModelError('The browser engine cannot run this model: its file has too many entries.');
    }
    return Number(count);
  }

  string(): string {
    const size = this.count(1);
    const start = this.skip(size);
    return this.decoder.decode(this.bytes.subarray(start, start + size));
  }

  name(known: Map<string, unknown>): string {
    const name = this.string();
    if (name.length > LONGEST_NAME || known.has(name)) {
      throw new ModelError('The model file is damaged: it contains a name that is too long or not unique.');
    }
    return name;
  }

  value(type = this.u32()): Value {
    if (type === ARRAY) {
      const inner = this.u32();
      if (inner === ARRAY || SIZES[inner] === undefined) {
        throw new ModelError(`The model file contains a list of an unknown type (${inner}).`);
      }
      const length = this.count(SIZES[inner], MOST_ITEMS - this.items);
      this.items += length;
      return Array.from({ length }, () => this.value(inner)) as number[] | string[];
    }
    if (type === STRING) {
      return this.string();
    }
    if (SIZES[type] === undefined) {
      throw new ModelError(`The model file contains a value of an unknown type (${type}).`);
    }
    const at = this.skip(SIZES[type]);
    return READERS[type](this.view, at);
  }

  /** Read a tensor's shape, type and offset, after its name. */
  tensor(name: string): { type: number; shape: number[]; offset: bigint; bytes: number } {
    const dimensions = this.u32();
    if (dimensions < 1 || dimensions > MOST_DIMENSIONS) {
      throw new ModelError(`The model file is damaged: ${name} has ${dimensions} dimensions.`);
    }
    let weights = 1n;
    const shape = Array.from({ length: dimensions }, () => {
      const length = this.u64();
      weights *= length;
      return Number(length);
    });
    // At least one byte each. This also keeps every product exact.
    if (weights < 1n || weights > BigInt(MOST_BYTES)) {
      throw new ModelError(`The model file is damaged: ${name} has an impossible shape.`);
    }
    const type = this.u32();
    const layout = TYPES[type];
    if (!layout) {
      throw new ModelError(
        `The browser engine does not support the weight type (${type}) of this model. Quantise it to Q8_0.`
      );
    }
    if (shape[0] % layout.weights) {
      throw new ModelError(`The model file is damaged: rows of ${name} end within a block.`);
    }
    return { type, shape, offset: this.u64(), bytes: (Number(weights) / layout.weights) * layout.bytes };
  }
}

/** Read a file's values and tensors. The tensors share the memory of `bytes`. */
export function readGguf(bytes: Uint8Array): IGguf {
  if (bytes.length > MOST_BYTES) {
    const size = describeSize(bytes.length);
    throw new ModelError(`The model is too large for the browser engine (${size}). Choose a smaller one.`);
  }
  const reader = new Reader(bytes);
  if (bytes.length < 4 || reader.u32() !== MAGIC) {
    throw new ModelError('This is not a model file (GGUF). Check its address.');
  }
  const version = reader.u32();
  if (!VERSIONS.includes(version)) {
    throw new ModelError(
      `The model file has GGUF version ${version}. The browser engine supports versions 2 and 3.`
    );
  }
  const tensorCount = reader.count(32, MOST_ENTRIES);
  const valueCount = reader.count(13, MOST_ENTRIES);
  const values = new Map<string, Value>();
  for (let number = 0; number < valueCount; number++) {
    const name = reader.name(values);
    values.set(name, reader.value());
  }
  const found = new Map<string, ReturnType<Reader['tensor']>>();
  for (let number = 0; number < tensorCount; number++) {
    const name = reader.name(found);
    found.set(name, reader.tensor(name));
  }
  const alignment = values.get('general.alignment') ?? 32;
  if (
    typeof alignment !== 'number' ||
    ![8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096].includes(alignment)
  ) {
    throw new ModelError('The model file is damaged: its alignment is impossible.');
  }
  const start = Math.ceil(reader.at / alignment) * alignment;
  const tensors = new Map<string, ITensor>();
  // The engine copies each tensor, so overlapping tensors would need many times the file's size in memory.
  let left = bytes.length - start;
  for (const [name, { type, shape, offset, bytes: size }] of found) {
    if (offset % BigInt(alignment) || offset + BigInt(start + size) > BigInt(bytes.length)) {
      throw new ModelError(`The model file is truncated or damaged: ${name} is missing. Download it again.`);
    }
    left -= size;
    if (left < 0) {
      throw new ModelError('The model file is damaged: its tensors overlap. Download it again.');
    }
    const from = start + Number(offset);
    tensors.set(name, { type, shape, data: bytes.subarray(from, from + size) });
  }
  return { values, tensors };
}
