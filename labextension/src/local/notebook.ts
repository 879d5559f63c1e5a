/** Turn cells into the text before and after the cursor. Pure. */

import { CELL_MAGIC, cellLanguage, cellMagic, commentMark, isPrivatePath } from '../language';
import { KEYS, TEXTS } from '../secrets';
import type { IRequest } from '../wire';
import { codePoints, endOf, first, isBlank, lastLine, LINE, remembered, without, WORD } from './text';

const HEADING = /^#{1,6}\s+([^\n]+)$/gm;
/** Line magics and shell commands of IPython. */
const COMMAND = /^[ \t]*(?:!|%[A-Za-z_])[^\n]*/gm;
const MAX_HEADING = 120;
const NEAR = 2 ** 17; // the maximum number of characters before the cursor, many times the size of a prompt
const ABOVE = 2 ** 18; // characters of the cells above
const MAX_ERROR = 200; // characters of the error that the active cell ended with
const NEXT_CELL = 320; // characters of the cell below in the prompt
const BELOW = 2 ** 14; // the maximum number of characters of a cell below

/** The pieces of text before the active cell, furthest first, and the two halves of the cell. */
export interface IContext {
  pieces: string[];
  prefix: string;
  suffix: string;
}

/** The active cell up to the cursor. */
export function prefixOf(request: IRequest): string {
  return first(request.cells[request.active].source, request.offset);
}

/** The active cell after the cursor. */
export function suffixOf(request: IRequest): string {
  return without(request.cells[request.active].source, request.offset);
}

/** Collect the context for the prompt. */
export function gather(request: IRequest): IContext {
  const active = request.cells[request.active];
  const language = cellLanguage(active.source, request.language);
  const prefix = endOf(prefixOf(request), NEAR);
  const suffix = first(suffixOf(request), NEAR);
  if (isPrivatePath(request.path)) {
    return { pieces: [], prefix, suffix };
  }
  const pieces = above(request, language);
  if (active.type === 'code') {
    pieces.push(...below(request, language));
    const failure = withoutSecrets(active.error ?? '').trim();
    if (failure) {
      pieces.push(`${commentMark(language)} ${first(lastLine(failure), MAX_ERROR)}\n`);
    }
  }
  // On a blank line, whole lines are missing, so the suffix begins with the next line.
  const begins = isBlank(lastLine(prefix)) && suffix.startsWith('\n');
  return { pieces, prefix, suffix: begins ? suffix.slice(1) : suffix };
}

/** The cells above as text; of a very long notebook, only the nearer ones. */
function above(request: IRequest, language: string): string[] {
  const cells = request.cells.slice(0, request.active);
  const step = ABOVE / 4; // cut in steps, so that the start seldom moves
  // Keep only the end of a longer cell, so that the others fit.
  const sources = cells.map(cell => endOf(cell.source, step));
  const sizes = sources.map(codePoints);
  const over = Math.max(0, sizes.reduce((total, size) => total + size, 0) - ABOVE);
  let excess = Math.ceil(over / step) * step;
  return cells.flatMap((cell, at) => {
    if (excess > 0) {
      excess -= sizes[at];
      return [];
    }
    const text = cellText(cell.type, request.language, language, sources[at]);
    return text ? [text] : [];
  });
}

/** Return the beginning of the next cell. It is placed above the cursor, so that it stays in the KV cache while typing. */
function below(request: IRequest, language: string): string[] {
  for (const { type, source } of request.cells.slice(request.active + 1)) {
    const text = type === 'code' && cellText(type, request.language, language, first(source, BELOW));
    if (text) {
      return [`${first(text, NEXT_CELL).trimEnd()}\n\n`];
    }
  }
  return [];
}

/** Cached, because typing does not change the cells above. */
const cellText = remembered(
  (type: string, notebookLanguage: string, language: string, source: string): string => {
    if (type === 'code' && cellLanguage(source, notebookLanguage) === language) {
      const code = language === notebookLanguage ? ownCode(source, language) : withoutCellMagic(source);
      const body = withoutSecrets(code).trim();
      return body ? `${body}\n\n` : '';
    }
    if (type === 'markdown' && language === notebookLanguage) {
      const mark = commentMark(language);
      return Array.from(
        source.matchAll(HEADING),
        ([, heading]) => `${mark} ${first(heading.trim(), MAX_HEADING)}\n`
      ).join('');
    }
    return '';
  },
  2 ** 20
);

/** What follows the name of a cell magic: its arguments, then the body. */
export function withoutCellMagic(source: string): string {
  return source.replace(CELL_MAGIC, '');
}

/** Return a cell without its line magics and shell commands. */
export function withoutCommands(source: string): string {
  return source.replace(COMMAND, '');
}

/** A cell in the notebook's language. */
function ownCode(source: string, language: string): string {
  if (language !== 'python') {
    return source;
  }
  return withoutCommands(cellMagic(source) ? withoutCellMagic(source).replace(/^[^\n]*\n?/, '') : source);
}

/** Private key blocks, JSON web tokens, and API keys with a distinctive form. */
const KEY = new RegExp(
  `${TEXTS.join('|')}|(?<![${WORD}-])eyJ[\\w-]{10,}\\.[\\w-]{10,}\\.|(?<![${WORD}])(?:${KEYS.join('|')})`,
  'u'
);
/** A text in quotes that is assigned to a name such as `db_password`: a variable, a key, an argument. */
const ASSIGNED = new RegExp(
  '(?:pass(?:word|wd|phrase)|pwd|secret|token(?!i[sz])|(?:api|access|private)[_-]?key|credential)' +
    `[${WORD}]{0,32}["']?[\\]}]{0,2}(?:\\[\\])?\\s{0,8}` +
    `(?:<?<-|=>?|:=?|:[^=:"'\\n]{1,40}=)\\s{0,8}[bfru]{0,2}(?:"{3}|'{3}|["'])[^"'\\n]{4}`,
  'iu'
);

/** Whether a line seems to contain a secret; a line too long to check counts as one that does. */
export function looksSecret(line: string): boolean {
  return line.length > LINE || KEY.test(line) || ASSIGNED.test(line);
}

/** Return a text without lines that look like secrets. */
export function withoutSecrets(source: string): string {
  return source
    .split(/(?<=\n)/)
    .filter(line => !looksSecret(line))
    .join('');
}
