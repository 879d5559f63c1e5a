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

/** What the server decides as well: tests/context/test_shared_cases.py reads the same cases. */
const cases = JSON.parse(readFileSync('../tests/data/paths_and_magics.json', 'utf8')) as ICases;

describe('the language', () => {
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
  ])('of %s is %s', (mime, language) => {
    expect(languageOf(mime)).toBe(language);
  });

  it.each([
    ['python', 'python'],
    ['R', 'r'],
    ['Julia', 'julia'],
    ['C++17', 'cpp'],
    ['c++', 'cpp']
  ])('of a kernel that says %s is %s', (name, language) => {
    expect(languageNamed(name)).toBe(language);
  });

  it.each(cases.cell_languages)('of %j is %s', (source, language) => {
    expect(cellLanguage(source, 'python')).toBe(language);
  });

  it.each([...MAGIC_LANGUAGES.keys(), ...SAME_LANGUAGE])('has a shared case for %%%%%s', magic => {
    const names = cases.cell_languages.map(([source]) => source.trim().split(/\s/)[0]);
    expect(names).toContain(`%%${magic}`);
  });
});

describe('a credential file', () => {
  it.each(cases.private_paths)('%j is known', path => {
    expect(isPrivatePath(path)).toBe(true);
  });

  it.each(cases.ordinary_paths)('does not include %j', path => {
    expect(isPrivatePath(path)).toBe(false);
  });
});
