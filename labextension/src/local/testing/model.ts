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

class Writer {
  private readonly parts: Uint8Array[] = [];
  size = 0;

  put(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.size += bytes.length;
    return this;
  }

  u32(value: number): this {
    return this.put(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: number | bigint): this {
    return this.put(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.u64(bytes.length).put(bytes);
  }

  value(value: Value): this {
    if (Array.isArray(value)) {
      this.u32(9);
      if (typeof value[0] === 'string') {
        this.u32(8).u64(value.length);
        value.forEach(item => this.text(item as string));
      } else {
        this.u32(4).u64(value.length);
        value.forEach(item => this.u32(item as number));
      }
      return this;
    }
    if (typeof value === 'string') {
      return this.u32(8).text(value);
    }
    if (typeof value === 'boolean') {
      return this.u32(7).put(Uint8Array.of(Number(value)));
    }
    if (typeof value === 'bigint') {
      return this.u32(10).u64(value);
    }
    return Number.isInteger(value)
      ? this.u32(4).u32(value)
      : this.u32(6).put(new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.size);
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

/** Write a GGUF file. */
export function written({ values, tensors }: IGguf): Uint8Array {
  const out = new Writer().u32(0x46554747).u32(3).u64(tensors.size).u64(values.size);
  values.forEach((value, name) => out.text(name).value(value));
  let offset = 0;
  for (const [name, { type, shape, data }] of tensors) {
    out.text(name).u32(shape.length);
    shape.forEach(length => out.u64(length));
    out.u32(type).u64(offset);
    offset += Math.ceil(data.length / 32) * 32;
  }
  out.put(new Uint8Array((32 - (out.size % 32)) % 32));
  tensors.forEach(({ data }) => out.put(data).put(new Uint8Array((32 - (data.length % 32)) % 32)));
  return out.bytes();
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
