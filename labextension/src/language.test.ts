import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  cellLanguage,
  isPrivatePath,
  languageNamed,
  languageOf,
  MAGIC_LANGUAGES,
  SAME_LANGUAGE
} from './language';

interface ICases {
  private_paths: string[];
  ordinary_paths: string[];
  cell_languages: [source: string, language: string][];
}

/** The cases shared with the server: tests/context/test_shared_cases.py reads them, too. */
const cases = JSON.parse(readFileSync('../tests/data/paths_and_magics.json', 'utf8')) as ICases;

describe('languages', () => {
  it.each([
    ['text/x-ipython', 'python'],
    ['text/x-python', 'python'],
    ['text/x-ipythongfm', 'markdown'],
    ['text/x-julia', 'julia'],
    ['text/x-rsrc', 'r'],
    ['text/x-rustsrc', 'rust'],
    ['text/x-R', 'r'], // as the specification of a kernel spells it
    ['application/javascript', 'javascript'],
    ['text/plain; charset=utf-8', 'text']
  ])('of MIME type %s is %s', (mime, language) => {
    expect(languageOf(mime)).toBe(language);
  });

  it.each([
    ['python', 'python'],
    ['R', 'r'],
    ['Julia', 'julia'],
    ['C++17', 'cpp'],
    ['c++', 'cpp']
  ])('of kernel language %s is %s', (name, language) => {
    expect(languageNamed(name)).toBe(language);
  });

  it.each(cases.cell_languages)('of cell %j is %s', (source, language) => {
    expect(cellLanguage(source, 'python')).toBe(language);
  });

  it.each([...MAGIC_LANGUAGES.keys(), ...SAME_LANGUAGE])('include a shared case for %%%%%s', magic => {
    const names = cases.cell_languages.map(([source]) => source.trim().split(/\s/)[0]);
    expect(names).toContain(`%%${magic}`);
  });
});

describe('isPrivatePath', () => {
  it.each(cases.private_paths)('is true for %j', path => {
    expect(isPrivatePath(path)).toBe(true);
  });

  it.each(cases.ordinary_paths)('is false for %j', path => {
    expect(isPrivatePath(path)).toBe(false);
  });
});
