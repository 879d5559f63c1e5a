/**
 * Check whether a text is valid at the cursor, with a Lezer grammar if the page has one. Pure.
 *
 * An unfinished cell does not parse, so only errors that no further text could fix count; an early end is not one.
 */

import { type Parser, TreeFragment } from '@lezer/common';
import { STATEMENT } from './bounds';
import { type IOpen, lex, scan } from './lexer';
import { asPython } from './magics';
import { codePoints, cutAt, first, isBlank, isLonger, lastLine, stripEnd, stripStart } from './text';

const MAX_PARSED = 40_000; // the maximum number of parsed characters per answer; after that, no text is valid
const MAX_TEXT_LENGTH = 4000; // the maximum length of a text that is parsed as a whole
const MAX_JOINED_LENGTH = 5000; // of a longer statement, only the line at the cursor is checked
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

/** Possible parts of a statement at the cursor. */
const FILLINGS = [' _ ', ', ', '.', ' + ', ' in ', ': ', '=', ' else ', ' as ', ' import ', '[_', '(_', '{_'];
const MAX_CLOSED = 4; // the maximum number of brackets that a part of a statement closes

/** A decorator without a definition. */
const DECORATES = /(?:^|\n)([ \t]*)@(?![^]*\n[ \t]*(?:async|def|class)\b)/;

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

/**
 * Return a check whether the rest of the statement after the cursor can follow a text.
 *
 * The statement must be valid then. If no text makes it valid, it must not become worse: it leaves less open than without
 * the text, or its rest begins within the same brackets and quotes.
 */
export function joining(
  language: string,
  prefix: string,
  suffix: string,
  judge: Judge
): (text: string) => boolean {
  const line = lastLine(prefix);
  let rest = restOfStatement(prefix, suffix);
  let before = isLonger(prefix, STATEMENT) ? prefix : prefix.slice(scan(prefix).start);
  if (codePoints(before) + codePoints(rest) > MAX_JOINED_LENGTH) {
    [before, rest] = [stripStart(line), cutAt(suffix, '\n')[0]];
  }
  if (isBlank(rest) || isLonger(line, MAX_JOINED_LENGTH)) {
    return () => true;
  }
  const statement = new Statement(before, rest, language === 'python' ? judge : byBrackets);
  return cached(text => statement.isJoinedBy(text));
}

/** Return a function that computes each result only once. */
function cached<K, V>(compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return key => {
    const result = known.get(key) ?? compute(key);
    known.set(key, result);
    return result;
  };
}

/** The statement around the cursor. */
class Statement {
  constructor(
    private readonly _before: string,
    private readonly _rest: string,
    private readonly _judge: Judge
  ) {
    this._hides = !isBlank(cutAt(_rest, '\n')[0]);
    this._atCursor = scan(_before);
    this._open = this._countOpen('');
  }

  /** Whether the rest can follow a text. */
  isJoinedBy(text: string): boolean {
    const atEnd = scan(this._before + text);
    const count = this._countOpen(text);
    const hidden = this._hides && atEnd.comment && !this._atCursor.comment;
    if (hidden || count > this._open || this._left <= 0) {
      return false;
    }
    const valid = this._isValid(this._before + text + this._rest);
    if (valid && (count === 0 || count < this._open)) {
      return true;
    }
    const hasSameOpen = (['quote', 'brackets', 'balanced', 'comment'] as const).every(
      key => atEnd[key] === this._atCursor[key]
    );
    if (this._canBeValid() || !(count < this._open || hasSameOpen)) {
      return false;
    }
    const fits = this._isValid(this._before + text) || !this._isValid(this._before);
    return valid || (fits && !this._isValid(this._before + this._rest));
  }

  private _canBeValid(): boolean {
    return (this._completable ??= fillingsOf(this._atCursor).some(
      text => this._countOpen(text) === 0 && this._isValid(this._before + text + this._rest)
    ));
  }

  private _countOpen(text: string): number {
    const { brackets, quote } = scan(this._before + text + this._rest);
    return brackets.length + Number(quote !== '');
  }

  private _isValid(code: string): boolean {
    const { faults, parsed } = this._judge('python', code);
    this._left -= parsed;
    return faults === 0;
  }

  private readonly _hides: boolean; // whether a comment would hide the rest
  private readonly _atCursor: IOpen;
  private readonly _open: number;
  private _completable: boolean | undefined;
  private _left = MAX_PARSED;
}

/** Texts of which one is likely to make a statement valid at the cursor, if any does. */
function fillingsOf({ quote, brackets }: IOpen): readonly string[] {
  const length = Math.min(MAX_CLOSED, brackets.length) + 1;
  const closed = Array.from({ length }, (_, end) => quote + brackets.slice(0, end));
  // `_` is also the content of a replacement field of an f-string.
  return quote ? [...closed, '_'] : [...FILLINGS, ...closed, ...closed.map(each => `_${each}`)];
}

/**
 * The text after the cursor up to the end of its statement.
 *
 * If the brackets around the cursor are not closed, this is the rest of the line.
 */
function restOfStatement(prefix: string, suffix: string): string {
  const [line] = cutAt(suffix, '\n');
  if (isLonger(prefix, STATEMENT) || isBlank(suffix)) {
    return line;
  }
  const closers: Readonly<Record<string, string | undefined>> = { '(': ')', '[': ']', '{': '}' };
  const stack: string[] = [];
  const { start: begin } = scan(prefix);
  for (const { kind, text, start } of lex(`${prefix.slice(begin)}${first(suffix, STATEMENT)}\n`)) {
    const end = begin + start - prefix.length;
    if (kind === 'line' && end >= 0 && stack.length === 0) {
      return suffix.slice(0, end);
    }
    const closer = closers[text];
    if (closer) {
      stack.push(closer);
    } else if (')]}'.includes(text) && stack.pop() !== text) {
      break;
    }
  }
  return line;
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
  const decorator = DECORATES.exec(head);
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
