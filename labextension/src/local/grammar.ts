/**
 * Whether a text fits in at the cursor, by a grammar of the page where there is one. Pure.
 *
 * An unfinished cell does not parse. So only faults that no further text could mend count: that the text ends too
 * early is none.
 */

import { STATEMENT } from './bounds';
import { type IOpen, lex, scan } from './lexer';
import { asPython } from './magics';
import { isLonger, lastLine, stripEnd } from './text';

const PATIENCE = 200_000; // characters that are parsed for one answer; after that, nothing more fits
const LONGEST = 4000; // characters of a text that is parsed whole
/** What may complete an unfinished line of Python: the rest of an expression, of a statement's head, of a clause. */
const ENDINGS = [
  ...[
    '',
    ' _',
    ':',
    '():',
    ' _:',
    ' in _:',
    ' in _',
    ' _ in _',
    ' import _',
    ' else _',
    ': _',
    ' _: _',
    '=_'
  ],
  ...[' as _:', ' _():', ' = _', ' _ import _', ' def _():', ' _ in _:', ' _ else _', ': _ = _']
];
const OUTER_ENDINGS = ['', ':', ' in _:', ' _', ' = _'];

/** A decorator that no definition follows. */
const DECORATES = /(?:^|\n)([ \t]*)@(?![^]*\n[ \t]*(?:async|def|class)\b)/;

/** A parser, as far as it is used here: one of Lezer's, which the page's editors have. */
export interface IParser {
  parse(text: string): { iterate(visitor: { enter(node: INode): void }): void };
}

interface INode {
  readonly type: { readonly isError: boolean };
  readonly from: number;
}

/** How many faults a text has that no further text could mend, and how many characters were parsed for that. */
export type Judge = (language: string, text: string) => { faults: number; parsed: number };

/** Judge by brackets and quotes alone. */
export const byBrackets: Judge = (_, text) => ({ faults: Number(!scan(text).balanced), parsed: 0 });

/** Judge by a language's grammar; by brackets and quotes where there is none. */
export function byGrammar(parserFor: (language: string) => IParser | null): Judge {
  return (language, text) => {
    const parser = parserFor(language);
    if (parser && language === 'python' && !isLonger(text, STATEMENT)) {
      return judgePython(parser, text);
    }
    return parser && !isLonger(text, LONGEST) ? judgeAny(parser, text) : byBrackets(language, text);
  };
}

/** A check whether a text fits behind `prefix`: it must not add faults to the cell. */
export function fitting(language: string, prefix: string, judge: Judge): (text: string) => boolean {
  if (isLonger(prefix, STATEMENT)) {
    return () => true; // parsing it would take too long
  }
  let left = PATIENCE;
  let given: number | undefined; // faults of what stands there already
  const known = new Map<string, boolean>();
  const judged = (text: string): boolean => {
    const { faults, parsed } = left > 0 ? judge(language, prefix + text) : { faults: Infinity, parsed: 0 };
    left -= parsed;
    return faults === 0 || faults <= (given ??= judge(language, prefix).faults);
  };
  return text => {
    const fits = known.get(text) ?? judged(text);
    known.set(text, fits);
    return fits;
  };
}

/** Count the faults before the end of a text. */
function judgeAny(parser: IParser, text: string): ReturnType<Judge> {
  const end = stripEnd(text).length;
  const faults = faultsBefore(parser, text, end);
  const quote = faults ? scan(text).quote : '';
  // Some grammars read a string as one token; an unfinished one is no fault either.
  const closed = quote ? faultsBefore(parser, text + quote, end) : faults;
  return { faults: Math.min(faults, closed), parsed: text.length };
}

/** Python parses once it is completed in some way: its grammar has few faults at the end of a text alone. */
function judgePython(parser: IParser, text: string): ReturnType<Judge> {
  const plain = asPython(text);
  const opened = scan(plain);
  const code = plain.slice(opened.start, opened.comment ? -opened.tail.length : plain.length);
  // More white space may follow where a line is blank so far.
  const last = stripEnd(code, ' \t');
  let parsed = last.length;
  // A fault before the end stays, whatever follows.
  const end = opened.quote ? last.length - opened.tail.length : stripEnd(last).length;
  const faults = faultsBefore(parser, last, end);
  if (opened.balanced && !faults && isIndentedEvenly(last)) {
    for (const ending of endingsOf(opened)) {
      const whole = withBody(last + ending);
      parsed += whole.length;
      if (faultsBefore(parser, whole, whole.length + 1) === 0) {
        return { faults: 0, parsed };
      }
    }
  }
  return { faults: 1, parsed };
}

/** What may complete a text, with its open quote and brackets closed. */
function* endingsOf({ comment, quote, tail, brackets }: IOpen): Generator<string> {
  if (comment) {
    yield `\n${brackets}`;
  } else if (quote) {
    // The text may also end with a backslash, within the quotes, or within a replacement field of an f-string.
    const begun = /^\w*(["'])\1\1[^]*?(\1{1,2})$/.exec(tail)?.[2] ?? '';
    const within = tail.endsWith('\\') ? ['', '\\'] : [''];
    const fields = /^[rR]?[fF]/.test(tail) ? ['}', ' _}', 'r}'] : [];
    // Within brackets, it may be a key or the last default of a lambda.
    const inner = brackets ? ['', ': _'] : [''];
    const closed = inner.flatMap(rest =>
      [...within, ...fields].map(end => end + quote.slice(begun.length) + rest + brackets)
    );
    yield* ENDINGS.flatMap(ending => closed.map(end => end + ending));
  } else {
    const outer = brackets ? OUTER_ENDINGS : [''];
    yield* outer.flatMap(tail => ENDINGS.map(ending => ending + brackets + tail));
  }
}

/** Give a head without a body one, and a decorator something to decorate. */
function withBody(text: string): string {
  const head = stripEnd(text);
  const decorator = DECORATES.exec(head);
  if (decorator) {
    return `${head}\n${decorator[1]}def _(): _`;
  }
  const line = lastLine(head);
  return head.endsWith(':') ? `${head}\n${line.slice(0, line.search(/[^ \t]|$/))} pass` : text;
}

/** Whether each line that is indented less stands below one of the lines above. The grammar does not mind. */
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

function faultsBefore(parser: IParser, text: string, end: number): number {
  let count = 0;
  parser.parse(text).iterate({
    enter({ type, from }) {
      count += Number(type.isError && from < end);
    }
  });
  return count;
}
