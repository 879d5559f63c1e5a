/** Splits source into Python's lexemes, finished or not, and finds open quotes and brackets. Pure. */

import { endOf, lastLine, STATEMENT, WORD } from './text';

const BODY = (quote: string, more: string) => `${quote}(?:\\\\(?:.|$)|(?!${quote})[^\\\\${more}])*`;
// Names may contain combining marks, as decomposed umlauts and Indian vowels do.
const NAME = `[\\p{L}\\p{Nl}\\p{No}_][${WORD}\\u0300-\\u036f\\u0900-\\u0e7f]*`;
const LEXEME = new RegExp(
  `(?<string>[rbfuRBFU]{0,2}(?:(?<long>${BODY('"""', '')}|${BODY("'''", '')})(?<longEnd>"""|''')?` +
    `|(?<short>${BODY('"', '\\n')}|${BODY("'", '\\n')})(?<shortEnd>["'])?))` +
    `|(?<comment>#[^\\n]*)|(?<number>\\p{Nd}[${WORD}.]*)|(?<name>${NAME})` +
    `|(?<sign>\\*\\*|[=!<>]=|[^\\s${WORD}])|(?<line>\\n)`,
  'gsu'
);
const KINDS = ['string', 'comment', 'number', 'name', 'sign', 'line'] as const;
/** A map, as an object inherits properties that a name in a text may equal. */
const CLOSERS: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}']
]);
const CLOSING: ReadonlySet<string> = new Set(CLOSERS.values());
const OPENERS = new Map([...CLOSERS].map(([opened, closed]) => [closed, opened]));

/** A word, number, string, sign, comment or line end of a source text. */
export interface ILexeme {
  kind: (typeof KINDS)[number];
  text: string;
  start: number;
  /** the missing closing quote of a string */
  unclosed: string;
}

/** Split a source text into lexemes; white space other than line ends is omitted. */
export function lex(source: string): ILexeme[] {
  return Array.from(source.matchAll(LEXEME), found => {
    const groups = (found.groups ?? {}) as Record<string, string | undefined>;
    const { long, longEnd, short, shortEnd } = groups;
    return {
      kind: KINDS.find(name => groups[name] !== undefined) ?? 'sign',
      text: found[0],
      start: found.index,
      unclosed: longEnd || shortEnd ? '' : (long?.slice(0, 3) ?? short?.[0] ?? '')
    };
  });
}

/** What is open at the end of a text. */
interface IOpen {
  quote: string;
  /** the closing brackets, the innermost first */
  brackets: string;
  balanced: boolean;
  comment: boolean;
}

/** Find the quote and the brackets that are open at the end. */
function scan(text: string): IOpen {
  const stack: string[] = [];
  let balanced = true;
  const lexemes = lex(text);
  for (const { text: lexeme } of lexemes) {
    const closer = CLOSERS.get(lexeme);
    if (closer) {
      stack.push(closer);
    } else if (CLOSING.has(lexeme)) {
      balanced = stack.pop() === lexeme && balanced;
    }
  }
  // An unclosed string or a comment that a line follows is not the last lexeme.
  const end = lexemes.at(-1);
  const brackets = stack.reverse().join('');
  return { quote: end?.unclosed ?? '', brackets, balanced, comment: end?.kind === 'comment' };
}

/**
 * Return a check whether a text and the rest of the line close all that the line at the cursor opens.
 *
 * Only in Python is it known which apostrophes are quotes, and what may stay open. Elsewhere, no bracket may be closed
 * that is not open.
 */
export function closingCheck(prefix: string, rest: string, isPython: boolean): (text: string) => boolean {
  const near = endOf(prefix, STATEMENT);
  const above = scan(near.slice(0, near.length - lastLine(near).length));
  // A substitute for the code up to the cursor, which may be long and is scanned with each text.
  const { brackets, quote, comment } = scan(near);
  const opened = [...brackets].reverse().map(bracket => OPENERS.get(bracket) ?? '');
  const before = `${opened.join('')}${quote}${comment ? '#' : ''}`;
  return text => {
    const open = scan(before + text + rest);
    const isClosed = open.brackets.length <= above.brackets.length && ['', above.quote].includes(open.quote);
    return open.balanced && (isClosed || !isPython);
  };
}

/**
 * The offset in `text` where the line `before` ends; -1 if it does not. Brackets and strings that the line opens
 * continue it.
 */
export function endOfLine(before: string, text: string): number {
  if (!text.includes('\n')) {
    return -1; // the usual case, and this runs at every token
  }
  let depth = 0;
  for (const { kind, text: lexeme, start } of lex(before + text)) {
    if (kind === 'line' && depth === 0 && start >= before.length) {
      return start - before.length;
    }
    if (CLOSERS.has(lexeme)) {
      depth++;
    } else if (depth > 0 && CLOSING.has(lexeme)) {
      depth--;
    }
  }
  return -1;
}
