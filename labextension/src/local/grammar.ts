/**
 * Check whether a text is valid at the cursor, with a Lezer grammar if the page has one. Pure.
 *
 * An unfinished cell does not parse, so only errors that no further text could fix count; an early end is not one.
 */

import { type Parser, TreeFragment } from '@lezer/common';
import { STATEMENT } from './bounds';
import { type IOpen, lex, repeatsKeyword, scan } from './lexer';
import { asPython } from './magics';
import { isLonger, lastLine, stripEnd } from './text';

export const MAX_PARSED = 40_000; // the maximum number of parsed characters per answer; after that, no text is valid
const MAX_TEXT_LENGTH = 4000; // the maximum length of a text that is parsed as a whole
const MAX_STATEMENT_LENGTH = 10_000; // of Python, whose parser is incremental
/**
 * Completions of an unfinished line of Python, the likeliest first: the rest of an expression, of a statement's head,
 * of a clause.
 */
const ENDINGS = [
  ...[
    '',
    ': _',
    ' _',
    ':',
    '():',
    '=_',
    ' _:',
    ' in _:',
    ' in _',
    ' _ in _',
    ' import _',
    ' else _',
    ' _: _'
  ],
  ...[' as _:', ' _():', ' = _', ' _ import _', ' def _():', ' _ in _:', ' _ else _', ': _ = _']
];
const OUTER_ENDINGS = ['', ':', ' in _:', ' _', ' = _'];

/** A text up to its last definition, and a decorator. A pattern for both would search to the end at each `@`. */
const DEFINED = /^[^]*\n[ \t]*(?:async|def|class)\b/;
const DECORATES = /\n([ \t]*)@/;

/** The used part of a Lezer parser. */
export type IParser = Pick<Parser, 'parse'>;

/** The number of errors that no further text could fix, and of parsed characters. */
export type Judge = (language: string, text: string) => { faults: number; parsed: number };

/** Check only brackets and quotes. */
export const byBrackets: Judge = (_, text) => ({ faults: Number(!scan(text).balanced), parsed: 0 });

/** Check with a language's grammar; without one, check brackets and quotes. */
export function byGrammar(parserFor: (language: string) => IParser | null): Judge {
  const reparser = cached((parser: IParser) => new Reparser(parser));
  return (language, text) => {
    const grammar = parserFor(language);
    const parser = grammar && reparser(grammar);
    if (!parser || isLonger(text, language === 'python' ? STATEMENT : MAX_TEXT_LENGTH)) {
      return byBrackets(language, text);
    }
    return language === 'python' ? judgePython(parser, text) : judgeAny(parser, text);
  };
}

/** Return a check whether a text is valid after `prefix`: it must not add errors to the cell. */
export function fitting(language: string, prefix: string, judge: Judge): (text: string) => boolean {
  if (isLonger(prefix, STATEMENT)) {
    return () => true; // parsing it would take too long
  }
  let left = MAX_PARSED;
  let given: number | undefined; // the errors in the existing text
  return cached(text => {
    const { faults, parsed } = left > 0 ? judge(language, prefix + text) : { faults: Infinity, parsed: 0 };
    left -= parsed;
    return faults === 0 || faults <= (given ??= judge(language, prefix).faults);
  });
}

/** Return a function that computes each result only once. */
export function cached<K, V>(compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return key => {
    const result = known.get(key) ?? compute(key);
    known.set(key, result);
    return result;
  };
}

/** Parses texts incrementally: the common prefix with the previous text is not parsed again. */
class Reparser {
  constructor(private readonly _parser: IParser) {}

  /** the number of parsed characters */
  parsed = 0;

  /** Yield the positions of the errors in order. */
  *faults(text: string): Generator<number> {
    const { length } = this._text;
    let same = 0;
    while (same < length && text[same] === this._text[same]) {
      same++;
    }
    const change = { fromA: same, toA: length, fromB: same, toB: text.length };
    const fragments = TreeFragment.applyChanges(this._fragments, [change]);
    const tree = this._parser.parse(text, fragments);
    this._fragments = TreeFragment.addTree(tree);
    this._text = text;
    this.parsed += fragments.reduce((left, { from, to }) => left - (to - from), text.length);
    const cursor = tree.cursor();
    do {
      if (cursor.type.isError) {
        yield cursor.from;
      }
    } while (cursor.next());
  }

  private _text = '';
  private _fragments: readonly TreeFragment[] = [];
}

/** Count the errors before the end of a text. */
function judgeAny(parser: Reparser, text: string): ReturnType<Judge> {
  const end = stripEnd(text).length;
  const before = parser.parsed;
  const count = (whole: string): number => [...parser.faults(whole)].filter(at => at < end).length;
  const faults = count(text);
  const quote = faults ? scan(text).quote : '';
  // Some grammars parse a string as one token; an unfinished one is not an error.
  const closed = quote ? count(text + quote) : faults;
  return { faults: Math.min(faults, closed), parsed: parser.parsed - before };
}

/** Try completions in Python: its grammar reports few errors only at the end of a text. */
function judgePython(parser: Reparser, text: string): ReturnType<Judge> {
  const plain = asPython(text);
  const opened = scan(plain);
  const code = plain.slice(opened.start, opened.comment ? -opened.tail.length : plain.length);
  if (isLonger(code, MAX_STATEMENT_LENGTH)) {
    return { faults: Number(!opened.balanced), parsed: 0 };
  }
  // If the line is blank so far, more white space may follow.
  const last = stripEnd(code, ' \t');
  const before = parser.parsed;
  // No further text fixes an error before the end.
  const end = opened.quote ? last.length - opened.tail.length : stripEnd(last).length;
  const completes =
    opened.balanced &&
    !repeatsKeyword(code) &&
    firstFault(parser, last) >= end &&
    isIndentedEvenly(last) &&
    reach(parser, last, endingsOf(opened)) === Infinity;
  return { faults: Number(!completes), parsed: parser.parsed - before };
}

/**
 * The position of the first error with the best completion; Infinity without an error. `endings` has the candidates for
 * each part that may be missing. No part fixes an error before it.
 */
function reach(parser: Reparser, text: string, endings: readonly (readonly string[])[]): number {
  if (endings.length === 0) {
    return firstFault(parser, withBody(text));
  }
  const [[...ways], ...others] = endings;
  const end = stripEnd(text).length - 1; // the last operator may be incomplete
  let furthest = end;
  for (const way of ways) {
    const at = reach(parser, text + way, others);
    if (at < end || at === Infinity) {
      return at;
    }
    furthest = Math.max(furthest, at);
  }
  return furthest;
}

/** The completions of a text, part by part, with its open quote and brackets closed. */
function endingsOf({ comment, quote, tail, brackets }: IOpen): string[][] {
  if (comment) {
    return [[`\n${brackets}`]];
  }
  if (!quote) {
    return brackets ? [ENDINGS, [brackets], OUTER_ENDINGS] : [ENDINGS];
  }
  // The text may also end with a backslash, within quotes, or within a replacement field of an f-string.
  const begun = /^\w*(["'])\1\1[^]*?(\1{1,2})$/.exec(tail)?.[2] ?? '';
  const within = tail.endsWith('\\') ? ['', '\\'] : [''];
  const fields = /^[rR]?[fF]/.test(tail) ? ['}', ' _}', 'r}'] : [];
  const closed = [...within, ...fields].map(end => end + quote.slice(begun.length));
  // Within brackets, it may be a key or the last default of a lambda.
  return brackets ? [closed, ['', ': _'], [brackets], ENDINGS] : [closed, ENDINGS];
}

/** Add a body to a statement without one, and a definition to a decorator. */
function withBody(text: string): string {
  const head = stripEnd(text);
  const decorator = DECORATES.exec(`\n${head}`.replace(DEFINED, ''));
  if (decorator) {
    return `${head}\n${decorator[1]}def _(): _`;
  }
  const line = lastLine(head);
  return head.endsWith(':') ? `${head}\n${line.slice(0, line.search(/[^ \t]|$/))} pass` : text;
}

/** Whether each dedent returns to the indentation of a line above. The grammar does not check that. */
function isIndentedEvenly(text: string): boolean {
  const levels: number[] = [];
  let [depth, begins, before] = [0, true, ''];
  for (const { kind, text: lexeme, start } of lex(text)) {
    if (kind === 'line') {
      begins ||= depth === 0 && before !== '\\';
    } else if (begins && kind !== 'comment') {
      const width = columns(text.slice(text.lastIndexOf('\n', start) + 1, start));
      const lower = levels.findIndex(level => level >= width);
      if (lower < 0 ? levels.length === 0 && width > 0 : levels[lower] !== width) {
        return false;
      }
      levels.splice(lower < 0 ? levels.length : lower, Infinity, width);
      begins = false;
    }
    depth += Number('([{'.includes(lexeme)) - Number(')]}'.includes(lexeme));
    before = lexeme;
  }
  return true;
}

/** The width of white space, as Python counts it. */
function columns(space: string): number {
  return Array.from(space).reduce((width, sign) => (sign === '\t' ? width - (width % 8) + 8 : width + 1), 0);
}

/** The position of the first error of a text; Infinity without one. */
function firstFault(parser: Reparser, text: string): number {
  const [first = Infinity] = parser.faults(text);
  return first;
}
