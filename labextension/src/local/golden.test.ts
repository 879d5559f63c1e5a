import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FUNCTIONS } from './testing/functions';

const FOLDER = '../tests/golden';
/** The suffix of keys whose cases only the server supports. */
const SERVER_ONLY = ' (server only)';

/** The cases shared with the server's tests (tests/shared_cases.py). */
describe.each(readdirSync(FOLDER).filter(name => name.endsWith('.json')))('%s', file => {
  const table = JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Record<string, unknown[][]>;

  describe.each(Object.keys(table))('%s', key => {
    const name = key.split('/')[0] as keyof typeof FUNCTIONS;

    it.each(table[key].map(one => [one]))('%j', async one => {
      const expected = one.at(-1);
      const found = await (FUNCTIONS[name] as (...given: unknown[]) => unknown)(...one.slice(0, -1));
      if (key.endsWith(SERVER_ONLY)) {
        expect(found).not.toEqual(expected); // else its mark is out of date
      } else if (isObject(expected)) {
        // Of some results a case has only what it is about.
        expect(found).toMatchObject(expected);
      } else {
        expect(found).toEqual(expected);
      }
    });
  });
});

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
