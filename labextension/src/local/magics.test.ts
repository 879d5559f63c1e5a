import { describe, expect, it } from 'vitest';
import { asPython } from './magics';

describe('the replacement of magics', () => {
  // With the square of its length, some of these take ten seconds and more.
  it.each([' ', '\t', '?', ' ?', '? ', '=', ' =', 'a', 'a ', 'a,', '.'])(
    'takes time in proportion to a line of %j',
    { timeout: 5000 },
    sign => {
      const line = `${sign.repeat(40_000)}'`;
      expect(asPython(line)).toBe(line);
    }
  );
});
