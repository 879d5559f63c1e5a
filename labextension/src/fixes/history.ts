/** The latest edits of a notebook, and which of them are alike. Pure. */

import { lex } from '../local/lexer';
import { changedRegion, isIdentifier } from './identifiers';
import { endOfLine } from './replacements';

/** The most edits that are kept, and for how many milliseconds. */
const MOST_EDITS = 20;
export const MOST_AGE = 5 * 60_000;
/** The most characters of a cell, and of its changed part. */
const MOST_SOURCE = 60_000;
const MOST_CHANGED = 2000;

/** An edit of a cell that has settled. */
export interface ISettledEdit {
  /** id of the cell */
  cell: string;
  before: string;
  after: string;
  /** milliseconds */
  time: number;
}

/** The lexemes that an edit has removed from a line, and those that it has inserted. */
export interface IDifference {
  removed: string[];
  inserted: string[];
}

/** A difference as two texts without the lexemes that it keeps, such as the `x` in `x` → `np.log(x)`. */
type Signature = [removed: string, inserted: string];

export class History {
  /**
   * Add an edit of a cell. If the user has continued the previous edit where it ended, replace that one by both. Return
   * the added edit, or null if nothing has changed.
   */
  add(cell: string, before: string, after: string, time: number): ISettledEdit | null {
    const last = this._edits.at(-1);
    const isContinued = last?.cell === cell && last.after === before && continues(last, after);
    const edit = { cell, before: isContinued ? last.before : before, after, time };
    if (isContinued) {
      this._edits.pop();
    }
    if (edit.before === after) {
      return null;
    }
    this._edits = [...this._edits, edit].slice(-MOST_EDITS);
    return edit;
  }

  /** Return the latest earlier edit in one of the cells that is like an edit, or null. */
  earlierLike(edit: ISettledEdit, cells: readonly string[]): ISettledEdit | null {
    const signatures = signaturesOf(edit);
    const isLike = (earlier: ISettledEdit): boolean =>
      earlier !== edit &&
      edit.time - earlier.time <= MOST_AGE &&
      cells.includes(earlier.cell) &&
      signaturesOf(earlier).some(one => signatures.some(other => areAlike(one, other)));
    return this._edits.filter(isLike).at(-1) ?? null;
  }

  /** Forget the edits of a cell: the user has undone some of them. */
  forget(cell: string): void {
    this._edits = this._edits.filter(edit => edit.cell !== cell);
  }

  /** The user does not want this edit to be repeated. */
  decline(edit: ISettledEdit): void {
    this._edits = [];
    signaturesOf(edit).forEach(signature => this._declined.add(JSON.stringify(signature)));
  }

  isDeclined(edit: ISettledEdit): boolean {
    return signaturesOf(edit).some(signature => this._declined.has(JSON.stringify(signature)));
  }

  private _edits: ISettledEdit[] = [];
  private readonly _declined = new Set<string>();
}

/** Return whether an edit consists of several changes that are alike. */
export function hasAlikeChanges(edit: ISettledEdit): boolean {
  const signatures = signaturesOf(edit);
  return signatures.some((one, index) => signatures.slice(index + 1).some(other => areAlike(one, other)));
}

/** Return the name, or the text of the string, that an edit has replaced, or null. */
export function replacedText({ before, after }: ISettledEdit): string | null {
  const [difference, ...further] = differencesOf(before, after);
  if (!difference || further.length > 0) {
    return null;
  }
  const lexemes = lex(difference.removed.join(' '));
  const names = lexemes.filter(lexeme => lexeme.kind === 'string' || isIdentifier(lexeme));
  const dots = lexemes.filter(({ text }) => text === '.');
  const isReplaced =
    names.length + dots.length === lexemes.length && (dots.length > 0 || difference.inserted.length > 0); // a prefix may be removed
  return (isReplaced && names.length > 0 && withoutQuotes(names[0].text).trim()) || null;
}

/** Return the differences of the changed lines; none if the cell was empty or is replaced, or too much has changed. */
export function differencesOf(before: string, after: string): IDifference[] {
  const { start, end, endAfter } = changedRegion(before, after);
  const [removed, inserted] = [before.slice(start, end), after.slice(start, endAfter)];
  const old = before.trim();
  if (
    !old ||
    (removed.trim() === old && lex(old).length > 1) ||
    Math.max(before.length, after.length) > MOST_SOURCE ||
    Math.max(removed.length, inserted.length) > MOST_CHANGED
  ) {
    return [];
  }
  const first = before.slice(0, start).lastIndexOf('\n') + 1;
  const linesBefore = before.slice(first, endOfLine(before, end)).split('\n');
  const linesAfter = after.slice(first, endOfLine(after, endAfter)).split('\n');
  const pairs =
    linesBefore.length === linesAfter.length
      ? linesBefore.map((line, index) => [line, linesAfter[index]])
      : [[linesBefore.join('\n'), linesAfter.join('\n')]];
  return pairs
    .map(([line, changed]) => differenceOf(line, changed))
    .filter(({ removed, inserted }) => removed.length + inserted.length > 0);
}

function differenceOf(before: string, after: string): IDifference {
  const [old, now] = [before, after].map(source => lex(source).map(({ text }) => text));
  const { start, end, endAfter } = changedRegion(old, now);
  return { removed: old.slice(start, end), inserted: now.slice(start, endAfter) };
}

/** Return whether the user has changed the result of an edit where it ended, or in the rest of that word. */
function continues({ before, after }: ISettledEdit, further: string): boolean {
  const { endAfter } = changedRegion(before, after);
  const [word] = /^[\p{L}\p{N}_]*/u.exec(after.slice(endAfter)) ?? ['']; // a common letter may be the old one or the new one
  const { start, end } = changedRegion(after, further);
  return start <= endAfter + word.length && endAfter <= end;
}

function signaturesOf({ before, after }: ISettledEdit): Signature[] {
  return differencesOf(before, after).map(({ removed, inserted }) => [
    textWithout(removed, inserted),
    textWithout(inserted, removed)
  ]);
}

/** Return whether two edits have removed the same, or inserted the same. */
function areAlike(one: Signature, other: Signature): boolean {
  return one.some((text, index) => text !== '' && text === other[index]);
}

/** Join the lexemes that are not among others, each counted once. An argument may be added before or after a comma. */
function textWithout(lexemes: readonly string[], others: readonly string[]): string {
  const left = others.map(withoutQuotes);
  const isOther = (text: string): boolean => {
    const at = left.indexOf(text);
    return at >= 0 && left.splice(at, 1).length > 0;
  };
  const texts = lexemes.map(withoutQuotes).filter(text => !isOther(text));
  return texts.join(' ').replace(/^, | ,$/g, '');
}

/** Return the text of a string: as an attribute and as a key, a column has the same name. */
function withoutQuotes(lexeme: string): string {
  return lexeme.replace(/^[a-z]{0,2}("""|'''|"|')([^]*)\1$/i, '$2');
}
