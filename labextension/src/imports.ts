/** Select the import lines that an accepted text needs and insert them into the cell. Pure. */

import type { IPosition } from './suggestion';

const BLANK = String.raw`(?:[ \t]*(?:#[^\n]*)?\n)*`;
const REST = String.raw`[ \t]*(?:#[^\n]*)?(?:\n|$)`;
const MAGICS = /(?:\s*%%[^\n]*(?:\n|$))+/y;
const INDENT = /(?:[ \t]*\n)*([ \t]*)/y;
const DOCSTRING = new RegExp(
  String.raw`${BLANK}[ \t]*[rRuU]?(?:` +
    String.raw`"""(?:[^"\\]|\\[^]|"(?!""))*"""|'''(?:[^'\\]|\\[^]|'(?!''))*'''` +
    String.raw`|"(?!"")(?:[^"\\\n]|\\[^])*"|'(?!'')(?:[^'\\\n]|\\[^])*'` +
    `)${REST}`,
  'y'
);
const FUTURE = new RegExp(
  String.raw`${BLANK}[ \t]*from[ \t]+__future__[ \t]+import\b(?:[^\n(#\\]|\\\n|\([^)]*\))*${REST}`,
  'y'
);

/** Text that is put into a cell. */
export interface IInsertion {
  /** UTF-16 units. */
  at: number;
  text: string;
}

export function insertInto(source: string, { at, text }: IInsertion): string {
  return source.slice(0, at) + text + source.slice(at);
}

/** The import lines that bind a name that a text uses; the server sends one name per line. */
export function neededFor(lines: readonly string[], text: string): string[] {
  return lines.filter(line => {
    const [name] = (line.split(/\s+/).at(-1) ?? '').split('.');
    return new RegExp(String.raw`(?<![\p{L}\p{N}_.])${name}(?![\p{L}\p{N}_])`, 'u').test(text);
  });
}

/** Return the insertion of import lines: after cell magics, a docstring and `__future__` imports. */
export function importsInto(source: string, lines: readonly string[]): IInsertion {
  let at = endOf(MAGICS, source, 0) ?? 0;
  INDENT.lastIndex = at;
  // IPython runs a cell that is indented as a whole.
  const indent = INDENT.exec(source)?.[1] ?? '';
  at = endOf(DOCSTRING, source, at) ?? at;
  for (let next: number | null = at; next !== null; next = endOf(FUTURE, source, at)) {
    at = next;
  }
  const isOpen = at > 0 && source[at - 1] !== '\n';
  return { at, text: (isOpen ? '\n' : '') + lines.map(line => `${indent}${line}\n`).join('') };
}

function endOf(pattern: RegExp, source: string, at: number): number | null {
  pattern.lastIndex = at;
  return pattern.test(source) ? pattern.lastIndex : null;
}

/**
 * Return the insertion of the imports that an accepted text needs, including names before it from `from` on; null if
 * none are needed or the insertion would be after `from`.
 */
export function importsFor(
  { text: source, offset }: IPosition,
  taken: string,
  lines: readonly string[],
  from = lineStart(source, offset)
): IInsertion | null {
  const needed = neededFor(lines, source.slice(from, offset) + taken);
  if (needed.length === 0) {
    return null;
  }
  const insertion = importsInto(source.slice(0, offset) + taken + source.slice(offset), needed);
  return insertion.at <= from ? insertion : null;
}

export function lineStart(source: string, offset: number): number {
  return source.slice(0, offset).lastIndexOf('\n') + 1;
}
