/** The golden model, and GGUF files that differ from it. */

import { readFileSync } from 'node:fs';
import { readGguf } from '../engine/gguf';
import type { IGguf, ITensor, Value } from '../engine/gguf';

const GOLDEN = new URL('../../../../tests/golden/engine/', import.meta.url);

export const MODULE = new WebAssembly.Module(
  readFileSync(new URL('../../../wasm/engine.wasm', import.meta.url))
);
export const MODEL = new Uint8Array(readFileSync(new URL('tiny.gguf', GOLDEN)));
/** Texts and what llama.cpp expects to follow them, with the same weights. */
export const CASES = JSON.parse(readFileSync(new URL('logits.json', GOLDEN), 'utf8')) as {
  ids: number[];
  logits: number[];
}[];

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: number | bigint): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const padding = (size: number): Uint8Array => new Uint8Array((32 - (size % 32)) % 32);

function textOf(value: string): Uint8Array[] {
  const bytes = new TextEncoder().encode(value);
  return [u64(bytes.length), bytes];
}

function bytesOf(value: Value): Uint8Array[] {
  if (Array.isArray(value)) {
    const isText = typeof value[0] === 'string';
    const items = value.map(item => Buffer.concat(isText ? textOf(item as string) : [u32(item as number)]));
    return [u32(9), u32(isText ? 8 : 4), u64(value.length), Buffer.concat(items)];
  }
  switch (typeof value) {
    case 'string':
      return [u32(8), ...textOf(value)];
    case 'boolean':
      return [u32(7), Uint8Array.of(Number(value))];
    case 'bigint':
      return [u32(10), u64(value)];
    default:
      return Number.isInteger(value)
        ? [u32(4), u32(value)]
        : [u32(6), new Uint8Array(Float32Array.of(value).buffer)];
  }
}

/** Write a GGUF file. */
export function written({ values, tensors }: IGguf): Uint8Array {
  const parts = [u32(0x46554747), u32(3), u64(tensors.size), u64(values.size)];
  values.forEach((value, name) => parts.push(...textOf(name), ...bytesOf(value)));
  let offset = 0;
  for (const [name, { type, shape, data }] of tensors) {
    parts.push(...textOf(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset));
    offset += Math.ceil(data.length / 32) * 32;
  }
  parts.push(padding(parts.reduce((size, part) => size + part.length, 0)));
  tensors.forEach(({ data }) => parts.push(data, padding(data.length)));
  return new Uint8Array(Buffer.concat(parts));
}

/** The golden model's file with other values (undefined: without it) and tensors. */
export function changed(
  values: Record<string, Value | undefined>,
  tensors: Record<string, ITensor | undefined> = {}
): Uint8Array {
  const file = readGguf(MODEL.slice());
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) {
      file.values.delete(name);
    } else {
      file.values.set(name, value);
    }
  }
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor) {
      file.tensors.set(name, tensor);
    } else {
      file.tensors.delete(name);
    }
  }
  return written(file);
}
