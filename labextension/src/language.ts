/** Languages of cells and files, comment markers, and files with credentials. Pure. */

import { FILES, FOLDERS } from './secrets';

/**
 * The languages of cell magics. The server has the same table (analysis/languages.py); tests/data/paths_and_magics.json
 * tests both.
 */
const MAGICS = {
  bash: ['bash', 'sh', 'script'],
  bat: ['cmd'],
  html: ['html', 'HTML', 'svg', 'SVG'],
  javascript: ['javascript', 'js'],
  latex: ['latex'],
  markdown: ['markdown'],
  sql: ['sql', 'bigquery'],
  r: ['R'],
  ruby: ['ruby'],
  perl: ['perl'],
  cython: ['cython'],
  text: ['writefile', 'file']
};
export const MAGIC_LANGUAGES: ReadonlyMap<string, string> = new Map(
  Object.entries(MAGICS).flatMap(([language, magics]) => magics.map(magic => [magic, language] as const))
);

/** The cell magics that do not change the language. */
export const SAME_LANGUAGE: ReadonlySet<string> = new Set(
  'time timeit capture prun memit mprun python python3 px debug'.split(' ')
);

/** A `%%magic` after what Python's `\\s` matches. */
// eslint-disable-next-line no-control-regex
export const CELL_MAGIC = /^(?:(?!\ufeff)[\s\x1c-\x1f\x85])*%%([\p{L}\p{N}_]+)/u;

const MIME_LANGUAGES: ReadonlyMap<string, string> = new Map([
  ['text/plain', 'text'],
  ['text/x-ipython', 'python'],
  ['text/x-ipythongfm', 'markdown'],
  ['text/x-rsrc', 'r'],
  ['text/x-rustsrc', 'rust'],
  ['text/x-c++src', 'cpp'],
  ['text/x-csrc', 'c'],
  ['text/x-sh', 'bash'],
  ['application/json', 'json']
]);

/** The language of a MIME type. */
export function languageOf(mimeType: string): string {
  const [mime] = mimeType.toLowerCase().split(';', 1);
  return MIME_LANGUAGES.get(mime) ?? mime.replace(/^(text|application)\/(x-)?/, '');
}

/** Normalize the language name of a kernel spec, such as `R` or `C++17`. */
export function languageNamed(name: string): string {
  return languageOf(`text/x-${name.toLowerCase().replace(/^c\+\+\d*$/, 'c++src')}`);
}

/** The name of the `%%magic` at the start of a cell, or ''. */
export function cellMagic(source: string): string {
  return CELL_MAGIC.exec(source)?.[1] ?? '';
}

/** The language of a cell; a `%%magic` on its first line may change it. */
export function cellLanguage(source: string, language: string): string {
  const magic = cellMagic(source);
  return magic === '' || SAME_LANGUAGE.has(magic) ? language : (MAGIC_LANGUAGES.get(magic) ?? magic);
}

const WITH_HASH = new Set(['python', 'r', 'julia', 'bash', 'ruby', 'perl', 'cython']);

/** The comment markers. */
export function commentMark(language: string): string {
  return WITH_HASH.has(language) ? '#' : '//';
}

const PRIVATE_FILE = new RegExp(`^(?:${FILES.join('|')})\\n?$`, 'isu');

/** Whether a file name suggests credentials. */
export function isPrivatePath(path: string): boolean {
  const parts = path.split(/[\\/]/).filter(part => part !== '' && part !== '.');
  // Python's case-insensitive matching treats these as `i`.
  const name = (parts.pop() ?? '').replace(/[\u0130\u0131]/g, 'i');
  return PRIVATE_FILE.test(name) || parts.some(part => FOLDERS.includes(part));
}
