/** Check whether the text after the cursor can follow a suggestion. Pure. */

import { STATEMENT } from './bounds';
import { byBrackets, cached, type Judge, MAX_PARSED } from './grammar';
import { CLOSERS, type ILexeme, type IOpen, lex, CLOSING, scan } from './lexer';
import {
  beginsWithWord,
  characterBefore,
  codePoints,
  cutAt,
  findAll,
  first,
  isBlank,
  isLonger,
  lastLine,
  SPACE,
  stripStart,
  WORD
} from './text';

const MAX_JOINED_LENGTH = 5000; // of a longer statement, only the line at the cursor is checked
const MAX_REPEATED = 32; // lexemes of the rest that a text may repeat at its end
const MAX_SEARCHED = 2 ** 20; // characters in which words are looked up
/** Possible parts of a statement at the cursor. */
const FILLINGS = [' _ ', ', ', '.', ' + ', ' in ', ': ', '=', ' else ', ' as ', ' import ', '[_', '(_', '{_'];
const MAX_CLOSED = 4; // the maximum number of brackets that a part of a statement closes
const WORDS = new RegExp(`\\.?[${WORD}]+`, 'gu');
const DOTTED_NAME = new RegExp(`^[${WORD}]+(?:\\.[${WORD}]+)*$`, 'u');
const ONLY_CLOSING = new RegExp(`^[)\\]}"'${SPACE}]+$`, 'u');
const FORMATTED = /^[rR]?[fF]/;

/**
 * Return a check whether the rest of the statement after the cursor can follow a text.
 *
 * The statement must be valid then. If no text makes it valid, it must not become worse: it leaves less open than without
 * the text, or its rest begins within the same brackets and quotes. A text leaves the brackets that the rest closes open,
 * unless the rest consists of those that an editor inserts. A word that the cursor or the text divides must become a
 * word of the cell or of `texts`.
 */
export function joining(
  language: string,
  prefix: string,
  suffix: string,
  judge: Judge,
  texts: Iterable<string> = []
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
  const word = new Word(prefix, suffix, texts);
  const statement = new Statement(language, before, rest, language === 'python' ? judge : byBrackets);
  return cached(text => word.isCompletedBy(text) && statement.isJoinedBy(text));
}

/** The longest prefix of whole words that the text after the cursor can follow. */
export function joiningPart(text: string, joins: (text: string) => boolean): string {
  for (let end = text.length; end > 0; end--) {
    const before = characterBefore(text, end);
    const following = text.slice(end, end + 2);
    const splits =
      /^[\udc00-\udfff]/.test(following) || (beginsWithWord(before) && beginsWithWord(following));
    if (!(splits || isBlank(before)) && joins(text.slice(0, end))) {
      return text.slice(0, end);
    }
  }
  return '';
}

/** The word around the cursor. */
class Word {
  constructor(
    prefix: string,
    suffix: string,
    private readonly _texts: Iterable<string>
  ) {
    this._cell = [prefix, suffix];
    this._begun = lastWord(prefix);
    this._rest = firstWord(suffix);
  }

  /** Whether a text and the rest of the word form a known word, or are separate words. */
  isCompletedBy(text: string): boolean {
    const last = lastWord(text);
    if (this._rest && text.endsWith('.')) {
      return this._isKnown(`.${this._rest}`);
    }
    if (!this._rest || !(last || this._begun)) {
      return true;
    }
    if (last === text) {
      return this._isKnown(this._begun + text + this._rest);
    }
    return !this._begun && this._isKnown(last + this._rest);
  }

  private _isKnown(word: string): boolean {
    return (this._known ??= this._find()).has(word);
  }

  /** The known names and, with their dot, attributes that end with the rest. */
  private _find(): ReadonlySet<string> {
    const found = new Set<string>();
    let left = MAX_SEARCHED;
    for (const text of [...this._cell, ...this._texts]) {
      for (const word of findAll(WORDS, first(text, left))) {
        if (word.endsWith(this._rest)) {
          found.add(word).add(word.replace('.', ''));
        }
      }
      left -= codePoints(text);
      if (left <= 0) {
        break;
      }
    }
    return found;
  }

  private readonly _cell: readonly string[];
  private readonly _begun: string;
  private readonly _rest: string;
  private _known: ReadonlySet<string> | undefined;
}

/** The word at the end of a text, if any. */
function lastWord(text: string): string {
  let start = text.length;
  while (start) {
    const character = characterBefore(text, start);
    if (!beginsWithWord(character)) {
      break;
    }
    start -= character.length;
  }
  return text.slice(start);
}

/** The word at the beginning of a text, if any. */
function firstWord(text: string): string {
  let end = 0;
  while (beginsWithWord(text.slice(end, end + 2))) {
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}

/** The statement around the cursor. */
class Statement {
  constructor(
    private readonly _language: string,
    private readonly _before: string,
    private readonly _rest: string,
    private readonly _judge: Judge
  ) {
    this._hides = !isBlank(cutAt(_rest, '\n')[0]);
    this._atCursor = scan(_before);
    this._open = this._countOpen('');
    const [start, lowest] = depths(_before, _rest);
    this._closed = ONLY_CLOSING.test(_rest) ? 0 : start - lowest;
    this._isInField = start > this._atCursor.brackets.length;
    const lexemes = lex(_rest);
    const following = lexemes.flatMap(({ kind, text }) => (kind === 'line' ? [] : [text]));
    this._following = following.length > 0 ? following : [''];
    const isPython = _language === 'python' && !/^\s*[!%]/.test(_before);
    this._beginsWithString = isPython && lexemes[0]?.kind === 'string';
  }

  /** Whether the rest can follow a text. */
  isJoinedBy(text: string): boolean {
    const atEnd = scan(this._before + text);
    const count = this._countOpen(text);
    const hidden = this._hides && atEnd.comment && !this._atCursor.comment;
    if (hidden || count > this._open || this._left <= 0) {
      return false;
    }
    // Of the brackets at the cursor, the text may close those that the rest does not.
    if (depths(this._before, text)[1] < this._closed) {
      return false;
    }
    const isCode = (!atEnd.comment && !atEnd.quote) || this._isInField;
    if (this._language && isCode && this._overlaps(text, atEnd)) {
      return false;
    }
    const valid = this._isValid(this._before + text + this._rest);
    if (valid && count === 0) {
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

  /** Whether a text contains what the rest is there for, such as the call of a name. */
  private _overlaps(text: string, atEnd: IOpen): boolean {
    this._left -= this._before.length + text.length;
    const length = this._isInField ? 0 : this._before.length;
    const lexemes = lex(this._before.slice(0, length) + text).filter(
      lexeme => lexeme.start + lexeme.text.length > length
    );
    const own = lexemes.filter(({ start }) => start >= length).map(lexeme => lexeme.text);
    if (repeats(own, this._following) || this._concatenates(lexemes)) {
      return true;
    }
    const element = lastElement(own);
    const sign = this._following[0];
    if (sign === '=' || sign === ':') {
      return element.includes(sign) && (this._isInField || !atEnd.brackets);
    }
    if ((sign !== '(' && sign !== '[') || !this._rest.startsWith(sign)) {
      return false;
    }
    const before = characterBefore(this._before, this._before.length);
    if (!this._atCursor.quote && (beginsWithWord(before) || before === '.') && beginsWithWord(text)) {
      // The rest calls the name at the cursor, or selects from it.
      return sign === '(' ? !DOTTED_NAME.test(text) : element.includes('[]');
    }
    const kind = lexemes.at(-1)?.kind;
    return (
      sign === '(' &&
      (['()', '[]', '{}'].includes(element.at(-1) ?? '') || kind === 'number' || kind === 'string')
    );
  }

  /** Whether Python would join a string of the text and the one after it, on the same line. */
  private _concatenates(lexemes: readonly ILexeme[]): boolean {
    const last = lexemes.at(-1);
    const isOwn = last?.kind === 'string' && last.start >= this._before.length;
    return isOwn && this._beginsWithString;
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
  private readonly _closed: number; // the brackets at the cursor that the rest closes
  private readonly _isInField: boolean; // whether the cursor is within a replacement field
  private readonly _following: readonly string[]; // the lexemes of the rest
  private readonly _beginsWithString: boolean; // the rest, in Python
  private _completable: boolean | undefined;
  private _left = MAX_PARSED;
}

/** The number of brackets that are open before a text, and the lowest number within it. */
function depths(before: string, text: string): readonly [number, number] {
  let [depth, start, lowest] = [0, -1, Infinity];
  for (const { position, sign } of bracketsOf(before + text)) {
    if (position >= before.length) {
      start = start < 0 ? depth : start;
      lowest = Math.min(lowest, depth);
    }
    depth = CLOSERS.has(sign) ? depth + 1 : Math.max(depth - 1, 0);
  }
  return [start < 0 ? depth : start, Math.min(lowest, depth)];
}

/** The brackets with their positions, including those of replacement fields. */
function bracketsOf(code: string): { position: number; sign: string }[] {
  return lex(code).flatMap(({ kind, text, start }) => {
    if (CLOSERS.has(text) || CLOSING.has(text)) {
      return [{ position: start, sign: text }];
    }
    return kind === 'string' && FORMATTED.test(text) ? fieldBrackets(text, start) : [];
  });
}

/** The brackets of the replacement fields of an f-string. */
function fieldBrackets(text: string, start: number): { position: number; sign: string }[] {
  let depth = 0;
  return Array.from(text.matchAll(/\{\{|[{}]/g)).flatMap(({ 0: sign, index }) => {
    const step = sign === '{' ? 1 : sign === '}' ? -Math.min(depth, 1) : 0;
    depth += step;
    return step ? [{ position: start + index, sign }] : [];
  });
}

/** Whether lexemes end with the beginning of those that follow, other than brackets of the text. */
function repeats(own: readonly string[], following: readonly string[]): boolean {
  const most = Math.min(MAX_REPEATED, own.length, following.length);
  for (let count = 1; count <= most; count++) {
    const end = own.slice(-count);
    const isSame = end.every((text, at) => text === following[at]);
    if (isSame && !joined(end).some(text => CLOSERS.has(text) || CLOSING.has(text))) {
      return true;
    }
  }
  return false;
}

/** The lexemes with each pair of brackets as one. */
function joined(lexemes: readonly string[]): string[] {
  const opened: number[] = [];
  const found: string[] = [];
  for (const text of lexemes) {
    const start = opened.at(-1);
    if (start !== undefined && CLOSERS.get(found[start]) === text) {
      opened.pop();
      found.splice(start, Infinity, found[start] + text);
      continue;
    }
    if (CLOSERS.has(text)) {
      opened.push(found.length);
    }
    found.push(text);
  }
  return found;
}

/** The lexemes after the last comma or closed bracket, with each pair of brackets as one. */
function lastElement(lexemes: readonly string[]): string[] {
  const element: string[] = [];
  for (const text of joined(lexemes)) {
    if (CLOSING.has(text) || text === ',' || text === ';') {
      element.length = 0;
    } else {
      element.push(text);
    }
  }
  return element;
}

/** Texts of which one is likely to make a statement valid at the cursor, if any does. */
function fillingsOf({ quote, brackets }: IOpen): readonly string[] {
  const length = Math.min(MAX_CLOSED, brackets.length) + 1;
  const closed = Array.from({ length }, (_, end) => quote + brackets.slice(0, end));
  // `_` is also the content of a replacement field of an f-string, which the rest may not close.
  return quote ? [...closed, '_', '_}'] : [...FILLINGS, ...closed, ...closed.map(each => `_${each}`)];
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
  const stack: string[] = [];
  const { start: begin } = scan(prefix);
  for (const { kind, text, start } of lex(`${prefix.slice(begin)}${first(suffix, STATEMENT)}\n`)) {
    const end = begin + start - prefix.length;
    if (kind === 'line' && end >= 0 && stack.length === 0) {
      return suffix.slice(0, end);
    }
    const closer = CLOSERS.get(text);
    if (closer) {
      stack.push(closer);
    } else if (CLOSING.has(text) && stack.pop() !== text) {
      break;
    }
  }
  return line;
}
