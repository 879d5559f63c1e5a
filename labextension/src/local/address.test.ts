import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { absolute, fileName, remedyFor } from './address';

describe('a URL', () => {
  it('is relative to another one, or none', () => {
    expect(absolute('m.gguf', 'https://site.test/a/models.json')).toBe('https://site.test/a/m.gguf');
    expect(absolute('http://', 'https://site.test/')).toBe('');
  });

  it.each([
    ['https://site.test/a/models.json?v=1#x', 'models.json'],
    ['https://site.test/my%20models/m%C3%BC.gguf', 'mü.gguf'],
    ['models/%zz', '%zz'],
    ['https://site.test/list/', 'list']
  ])('%s is called %s', (url, name) => expect(fileName(url)).toBe(name));

  it.each([
    [204, /file is empty/],
    [404, /file is missing/],
    [403, /Log in/],
    [503, /Try again later/]
  ])('with status %i is reported with advice', (status, words) => {
    expect(remedyFor(status)).toMatch(words);
  });

  it('is called by a name that fits a sentence', () => {
    fc.assert(fc.property(fc.webUrl(), url => Array.from(fileName(url)).length <= 32));
  });
});
