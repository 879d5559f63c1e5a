import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { absolute, fileName, remedyFor } from './address';

describe('file names and URLs', () => {
  it('resolve relative URLs and reject invalid ones', () => {
    expect(absolute('m.gguf', 'https://site.test/a/models.json')).toBe('https://site.test/a/m.gguf');
    expect(absolute('http://', 'https://site.test/')).toBe('');
  });

  it.each([
    ['https://site.test/a/models.json?v=1#x', 'models.json'],
    ['https://site.test/my%20models/m%C3%BC.gguf', 'mü.gguf'],
    ['models/%zz', '%zz'],
    ['https://site.test/list/', 'list'],
    ['https://site.test//a//?b=c/d#e/f?g', 'a'],
    ['', '']
  ])('fileName of %s is %s', (url, name) => expect(fileName(url)).toBe(name));

  it.each([
    [204, /file is empty/],
    [404, /file is missing/],
    [403, /Log in/],
    [503, /Try again later/]
  ])('remedyFor %i returns advice', (status, words) => {
    expect(remedyFor(status)).toMatch(words);
  });

  it('fileName shortens long names', () => {
    fc.assert(fc.property(fc.webUrl(), url => Array.from(fileName(url)).length <= 32));
  });
});
