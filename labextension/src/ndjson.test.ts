import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLines } from './ndjson';

async function read(chunks: Uint8Array[]): Promise<unknown[]> {
  const left = [...chunks];
  const reader = {
    read: () =>
      Promise.resolve(left.length ? { done: false, value: left.shift() } : { done: true, value: undefined })
  };
  const objects: unknown[] = [];
  for await (const line of parseLines(reader)) {
    objects.push(line);
  }
  return objects;
}

describe('lines of JSON', () => {
  it('come out whole however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ text: fc.string({ unit: 'grapheme' }) }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 7 }),
        async (objects, size) => {
          const bytes = new TextEncoder().encode(
            objects.map(object => `${JSON.stringify(object)}\n`).join('')
          );
          const chunks: Uint8Array[] = [];
          for (let start = 0; start < bytes.length; start += size) {
            chunks.push(bytes.slice(start, start + size));
          }
          expect(await read(chunks)).toEqual(objects);
        }
      )
    );
  });

  it('that are cut off at the end are left out', async () => {
    expect(await read([new TextEncoder().encode('{"a":1}\n{"b":')])).toEqual([{ a: 1 }]);
  });

  it('that are garbage are an error', async () => {
    await expect(read([new TextEncoder().encode('<html>\n')])).rejects.toThrow();
  });
});
