import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FUNCTIONS } from './testing/functions';

const FOLDER = '../tests/golden';
/** The suffix of keys whose cases only the server supports. */
const SERVER_ONLY = ' (server only)';

/** The cases shared with the server's tests (tests/shared_cases.py), without those of functions that a page lacks. */
const TABLES = readdirSync(FOLDER)
  .filter(name => name.endsWith('.json'))
  .flatMap(name =>
    Object.entries(JSON.parse(readFileSync(`${FOLDER}/${name}`, 'utf8')) as Record<string, unknown[][]>)
  )
  .filter(([key]) => nameOf(key) in FUNCTIONS);

describe.each(TABLES)('%s', (key, cases) => {
  it.each(cases.map(one => [one]))('%j', one => {
    const expected = one.at(-1);
    const found = (FUNCTIONS[nameOf(key)] as (...given: unknown[]) => unknown)(...one.slice(0, -1));
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

function nameOf(key: string): keyof typeof FUNCTIONS {
  return key.split('/')[0] as keyof typeof FUNCTIONS;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
