import { afterEach, describe, expect, it, vi } from 'vitest';
import { sha256 } from './digest';

const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

describe('a digest', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is SHA-256', async () => expect(await sha256(new Blob(['a', 'bc']))).toBe(ABC));

  it('is the same where the browser computes none', async () => {
    const long = new Blob([new Uint8Array(5_000_000).map((_, at) => at)]);
    const known = await sha256(long);
    vi.stubGlobal('crypto', {});
    expect(await sha256(new Blob(['abc']))).toBe(ABC);
    expect(await sha256(long)).toBe(known);
  });
});
