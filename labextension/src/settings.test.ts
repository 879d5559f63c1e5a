import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULTS, readSettings } from './settings';

interface ISchema {
  properties: Record<string, { default: unknown; title: string; description: string }>;
}

const schema = JSON.parse(readFileSync('schema/plugin.json', 'utf8')) as ISchema;

describe('settings', () => {
  it('have the defaults their schema shows', () => {
    const shown = Object.fromEntries(
      Object.entries(schema.properties).map(([name, { default: value }]) => [name, value])
    );
    expect(shown).toEqual(DEFAULTS);
    expect(readSettings({})).toEqual(DEFAULTS);
  });

  it('are all explained', () => {
    for (const property of Object.values(schema.properties)) {
      expect(property.title && property.description).toBeTruthy();
    }
  });

  it('promise no suggestion where there may be none, and count the characters of the model in the page', () => {
    const { eagerness, maxTokens } = schema.properties;
    expect(eagerness.description).not.toMatch(/always appears/);
    expect(eagerness.description).toMatch(/Nothing appears where the model writes nothing/);
    expect(maxTokens.description).toMatch(/as for a model in the page, three of them count as one/);
  });

  it('name a list of models only by an address', () => {
    expect(readSettings({ browserModels: ' https://site/models.json ' }).browserModels).toBe(
      'https://site/models.json'
    );
    expect(readSettings({ browserModels: 3 }).browserModels).toBe('');
  });

  it('stay within bounds whatever somebody wrote into the file', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(DEFAULTS)), fc.anything()), stored => {
        const read = readSettings(stored);
        expect(read.delay).toBeGreaterThanOrEqual(0);
        expect(read.delay).toBeLessThanOrEqual(5000);
        expect(Number.isInteger(read.maxTokens)).toBe(true);
        expect(read.alternatives).toBeLessThanOrEqual(4);
        expect(Array.isArray(read.disabledLanguages)).toBe(true);
      })
    );
  });
});
