/** Import lines that come with a suggestion: which of them a part of it needs, where in a cell they go. Pure. */

const BLANK = String.raw`(?:[ \t]*(?:#[^\n]*)?\n)*`;
const REST = String.raw`[ \t]*(?:#[^\n]*)?(?:\n|$)`;
const MAGIC = /\s*%%[^\n]*(?:\n|$)/y;
const DOCSTRING = new RegExp(
  `${BLANK}[rRuU]?(?:` +
    String.raw`"""(?:[^"\\]|\\[^]|"(?!""))*"""|'''(?:[^'\\]|\\[^]|'(?!''))*'''` +
    String.raw`|"(?!"")(?:[^"\\\n]|\\[^])*"|'(?!'')(?:[^'\\\n]|\\[^])*'` +
    `)${REST}`,
  'y'
);
const FUTURE = new RegExp(
  String.raw`${BLANK}from[ \t]+__future__[ \t]+import\b(?:[^\n(#\\]|\\\n|\([^)]*\))*${REST}`,
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

/** The name that an import line binds; each that a server sends binds one. */
function boundName(line: string): string {
  return (line.split(/\s+/).at(-1) ?? '').split('.')[0];
}

/** The lines whose names a text uses. */
export function neededFor(lines: readonly string[], text: string): string[] {
  return lines.filter(line =>
    new RegExp(String.raw`(?<![\p{L}\p{N}_.])${boundName(line)}(?![\p{L}\p{N}_])`, 'u').test(text)
  );
}

/** What puts import lines into a cell, each that is not there yet: behind a cell magic, a docstring, `__future__`. */
export function importsInto(source: string, lines: readonly string[]): IInsertion | null {
  const there = new Set(source.split('\n').map(line => line.trim()));
  const added = lines.filter(line => !there.has(line));
  if (added.length === 0) {
    return null;
  }
  let at = 0;
  for (const [pattern, most] of [
    [MAGIC, 1],
    [DOCSTRING, 1],
    [FUTURE, Infinity]
  ] as const) {
    for (let times = 0; times < most; times++) {
      pattern.lastIndex = at;
      if (!pattern.test(source)) {
        break;
      }
      at = pattern.lastIndex;
    }
  }
  const isOpen = at > 0 && source[at - 1] !== '\n';
  return { at, text: `${isOpen ? '\n' : ''}${added.join('\n')}\n` };
}
