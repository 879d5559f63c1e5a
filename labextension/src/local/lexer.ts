/** Splits source into Python's lexemes, finished or not, and finds open quotes and brackets. Pure. */

import { LETTER, SPACE, WORD } from './text';

const BODY = (quote: string, more: string) => `${quote}(?:\\\\(?:.|$)|(?!${quote})[^\\\\${more}])*`;
// Names may contain combining marks, as decomposed umlauts and Indian vowels do.
const NAME = `[${LETTER}][${WORD}\\u0300-\\u036f\\u0900-\\u0e7f]*`;
const LEXEME = new RegExp(
  `(?<string>[rbfuRBFU]{0,2}(?:(?<long>${BODY('"""', '')}|${BODY("'''", '')})(?<longEnd>"""|''')?` +
    `|(?<short>${BODY('"', '\\n')}|${BODY("'", '\\n')})(?<shortEnd>["'])?))` +
    `|(?<comment>#[^\\n]*)|(?<number>\\p{Nd}[${WORD}.]*)|(?<name>${NAME})` +
    `|(?<sign>\\*\\*|[=!<>]=|[^${SPACE}${WORD}])|(?<line>\\n)`,
  'gsu'
);
const KINDS = ['string', 'comment', 'number', 'name', 'sign', 'line'] as const;
const CONTINUATIONS = new Set(['else', 'elif', 'except', 'finally', 'case']);
/** A map, as an object inherits properties that a name in a text may equal. */
export const CLOSERS: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}']
]);
export const CLOSING: ReadonlySet<string> = new Set(CLOSERS.values());

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
export interface IOpen {
  quote: string;
  /** the unclosed string or the comment at the end of the text */
  tail: string;
  brackets: string;
  balanced: boolean;
  comment: boolean;
  /** where the last statement at the outermost level begins; the text above it does not matter */
  start: number;
}

/** Find the quote and the brackets that are open at the end. */
export function scan(text: string): IOpen {
  const stack: string[] = [];
  let [balanced, decorated, start] = [true, false, 0];
  const lexemes = lex(text);
  for (const lexeme of lexemes) {
    const closer = CLOSERS.get(lexeme.text);
    if (closer) {
      stack.push(closer);
    } else if (CLOSING.has(lexeme.text)) {
      balanced = stack.pop() === lexeme.text && balanced;
    } else if (stack.length === 0 && opensStatement(text, lexeme)) {
      start = decorated ? start : lexeme.start;
      decorated = lexeme.text === '@';
    }
  }
  // An unclosed string or a comment that a line follows is not the last lexeme.
  const end = lexemes.at(-1);
  return {
    quote: end?.unclosed ?? '',
    tail: end && (end.unclosed || end.kind === 'comment') ? end.text : '',
    brackets: stack.reverse().join(''),
    balanced,
    comment: end?.kind === 'comment',
    start
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

/** Whether a call has a keyword argument twice, which only Python's compiler refuses. */
export function repeatsKeyword(text: string): boolean {
  if (text.indexOf('=') === text.lastIndexOf('=')) {
    return false; // the usual case, and this runs at every token
  }
  const calls: Set<string>[] = [];
  let [name, before, lambdaDepth] = ['', '', 0];
  for (const { kind, text: lexeme } of lex(text)) {
    if (kind === 'line' || kind === 'comment') {
      continue;
    }
    const call = calls.at(-1);
    if (CLOSERS.has(lexeme)) {
      calls.push(new Set());
    } else if (CLOSING.has(lexeme)) {
      calls.pop();
    } else if (lexeme === 'lambda') {
      lambdaDepth = calls.length;
    } else if (lexeme === ':' && calls.length === lambdaDepth) {
      lambdaDepth = 0;
    } else if (lexeme === '=' && name && call && calls.length !== lambdaDepth) {
      if (call.has(name)) {
        return true;
      }
      call.add(name);
    }
    name = kind === 'name' && (before === '(' || before === ',') ? lexeme : '';
    before = lexeme;
  }
  return false;
}

/** Whether a statement at the outermost level certainly begins here. */
function opensStatement(text: string, { kind, text: lexeme, start }: ILexeme): boolean {
  if (start && (text[start - 1] !== '\n' || text.slice(0, start).endsWith('\\\n'))) {
    return false;
  }
  return !(kind === 'line' || kind === 'comment' || '\'"'.includes(lexeme[0]) || CONTINUATIONS.has(lexeme));
}
