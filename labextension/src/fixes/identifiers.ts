/** Find the identifier, or the label of an assigned column, that an edit has changed. Pure. */

import { type ILexeme, lex } from '../local/lexer';

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from ' +
    'global if import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' ')
);

/** A string that may be the label of a column. */
const LABEL = /^(["'])[^"'\\\n]*\1$/;

/** A name in a source, and its start in UTF-16 units. */
interface IName {
  start: number;
  text: string;
}

/** A changed identifier or label, and its start in UTF-16 units. */
export interface IChangedName {
  start: number;
  old: string;
  name: string;
}

/** `none`: nothing has changed, or a name has been deleted, perhaps to type another one · `other`: anything else. */
export type Change = IChangedName | 'none' | 'other';

/** A text or a list. */
interface ISequence {
  readonly length: number;
  at(index: number): unknown;
}

/** The changed part; `end` is its end before the change, `endAfter` after it. */
export interface IRegion {
  start: number;
  end: number;
  endAfter: number;
}

/** Return the part between the common beginning and the common end of two texts or lists. */
export function changedRegion(before: ISequence, after: ISequence): IRegion {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before.at(start) === after.at(start)) {
    start++;
  }
  let same = 0; // at the end
  while (same < shorter - start && before.at(-1 - same) === after.at(-1 - same)) {
    same++;
  }
  return { start, end: before.length - same, endAfter: after.length - same };
}

/** Compare two versions of a cell. */
export function changeOf(before: string, after: string): Change {
  if (before === after) {
    return 'none';
  }
  const { start, end } = changedRegion(before, after);
  const changed = namesIn(before).find(
    found => found.text !== '' && found.start <= start && end <= endOf(found)
  );
  if (!changed) {
    return 'other';
  }
  const name = after.slice(changed.start, after.length - (before.length - endOf(changed)));
  if (name === '') {
    return 'none';
  }
  const isRenamed = namesIn(after).some(({ start, text }) => start === changed.start && text === name);
  return isRenamed ? { start: changed.start, old: changed.text, name } : 'other';
}

/** Return whether a name is used in a source text, comments and strings included. */
export function mentions(source: string, name: string): boolean {
  const word = '[\\p{L}\\p{N}\\p{M}_]';
  const text = name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`(?<!${word})${text}(?!${word})`, 'u').test(source);
}

/** Return the identifiers of a source, and the labels in assignments such as `df["label"] = 1`. */
function namesIn(source: string): IName[] {
  const lexemes = lex(source);
  return lexemes.flatMap((lexeme, at) => {
    const { start, text } = lexeme;
    if (isIdentifier(lexeme)) {
      return [{ start, text }];
    }
    return isAssignedLabel(lexemes, at) ? [{ start: start + 1, text: text.slice(1, -1) }] : [];
  });
}

function isAssignedLabel(lexemes: readonly ILexeme[], at: number): boolean {
  const [above, table] = [lexemes[at - 3], lexemes[at - 2]];
  const signs = [at - 1, at + 1, at + 2].map(index => lexemes[index]?.text).join('');
  const isStatement = !above || above.kind === 'line' || above.text === ';' || above.text === ':';
  return (
    signs === '[]=' && isStatement && !!table && isIdentifier(table) && LABEL.test(lexemes[at]?.text ?? '')
  );
}

export function isIdentifier({ kind, text }: ILexeme): boolean {
  return kind === 'name' && !KEYWORDS.has(text);
}

function endOf({ start, text }: IName): number {
  return start + text.length;
}
