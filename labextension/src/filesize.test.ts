import { describe, expect, it } from 'vitest';
import { describeSize } from './filesize';

describe('describeSize', () => {
  it.each([
    [1, '0.1 MB'],
    [6_000_000, '6 MB'],
    [6_405_408, '6.4 MB'],
    [52_428_800, '52 MB'],
    [9_960_000, '10 MB'],
    [491_400_064, '491 MB'],
    [999_400_000, '999 MB'],
    [999_600_000, '1.0 GB'],
    [1_117_320_768, '1.1 GB']
  ])('formats %d bytes', (bytes, words) => {
    expect(describeSize(bytes)).toBe(words);
  });

  it('marks an estimate and omits an unknown size', () => {
    expect(describeSize(1_929_000_000, false)).toBe('~1.9 GB');
    expect(describeSize(null)).toBe('');
    expect(describeSize(undefined, false)).toBe('');
  });
});
