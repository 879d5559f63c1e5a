/** Find the identifier that an edit has changed. Pure. */

import { type ILexeme, lex } from '../local/lexer';

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from ' +
    'global if import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' ')
);

/** A changed identifier, and its start in UTF-16 units. */
export interface IChangedName {
  start: number;
  old: string;
  name: string;
}

/** `none`: nothing has changed, or an identifier has been deleted, perhaps to type another one · `other`: anything else. */
export type Change = IChangedName | 'none' | 'other';

/** Compare two versions of a cell. */
export function changeOf(before: string, after: string): Change {
  if (before === after) {
    return 'none';
  }
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) {
    start++;
  }
  let same = 0; // at the end
  while (same < shorter - start && before.at(-1 - same) === after.at(-1 - same)) {
    same++;
  }
  const changed = lex(before).find(
    lexeme => isIdentifier(lexeme) && lexeme.start <= start && before.length - same <= endOf(lexeme)
  );
  if (!changed) {
    return 'other';
  }
  const name = after.slice(changed.start, after.length - (before.length - endOf(changed)));
  if (name === '') {
    return 'none';
  }
  const isRenamed = lex(after).some(
    lexeme => lexeme.start === changed.start && lexeme.text === name && isIdentifier(lexeme)
  );
  return isRenamed ? { start: changed.start, old: changed.text, name } : 'other';
}

/** Return whether a name is used in a source text, comments and strings included. */
export function mentions(source: string, name: string): boolean {
  return Array.from(source.matchAll(/[\p{L}\p{N}\p{M}_]+/gu)).some(([word]) => word === name);
}

function isIdentifier({ kind, text }: ILexeme): boolean {
  return kind === 'name' && !KEYWORDS.has(text);
}

function endOf({ start, text }: ILexeme): number {
  return start + text.length;
}
