import { describe, expect, it } from 'vitest';
import { looksSecret } from './notebook';
import { LINE } from './text';

describe('secrets in a line', () => {
  it.each([
    'pwd',
    'password ',
    " 'password'",
    'token: ',
    'token:a',
    'api_key\t',
    '-eyJ',
    ' eyJaaaaaaaaaa.',
    '-----BEGIN ',
    '-----BEGIN A',
    ' sk_live_a',
    'A',
    'M',
    '0',
    'SG.'
  ])('are checked in linear time for repetitions of %j', unit => {
    const line = unit.repeat(LINE).slice(0, LINE);
    const begun = performance.now();
    expect(looksSecret(line)).toBe(false);
    expect(performance.now() - begun).toBeLessThan(500);
  });

  it('are assumed in a line that is too long', () => {
    expect(looksSecret('a'.repeat(LINE))).toBe(false);
    expect(looksSecret('a'.repeat(LINE + 1))).toBe(true);
  });
});
