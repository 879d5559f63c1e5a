/** The columns and attributes that exist at the cursor, from the kernel context. Pure. */

import type { IRequest } from '../wire';
import { LINE, remembered } from './bounds';
import { KEYWORDS } from './features';
import { prefixOf, suffixOf } from './notebook';
import { characterBefore, compare, findAll, isBlank, isLonger, lastLine, LETTER, strip, WORD } from './text';

const NAME = new RegExp(`[${LETTER}][${WORD}]*`, 'gu');
/** Names separated by commas, or just words. */
const WORDS = new RegExp(`[${LETTER}][${WORD}, \\t]*`, 'gu');
const ASSIGNS = /=(?!=)|:=/y;
const EDGE = `(?<![${WORD}])`;
const IN = new RegExp(`${EDGE}in(?![${WORD}])`, 'gu');
const BINDER = new RegExp(`${EDGE}(?:as|def|class|import|lambda)(?![${WORD}])`, 'gu');
const BINDS_AFTER = new RegExp(
  `def[ \\t]+([${LETTER}][${WORD}, \\t]*(?:\\([^)]*)?)|(?:as|class|import)[ \\t]+([${LETTER}][${WORD}, \\t]*)` +
    `|lambda[ \\t]+([^:\\n]*)|import[ \\t]*\\(([^)]*)`,
  'uy'
);
const BASE = `(?<![.${WORD}])(?<base>[${LETTER}][${WORD}]*)`;
const COLUMN = new RegExp(`${BASE}\\[(?<quote>["'])(?<begun>[^"'\\\\]*)$`, 'u');
const ATTRIBUTE = new RegExp(`${BASE}\\.(?<begun>[${WORD}]+)$`, 'u');
/** Characters to escape in a string: quotes, control characters, bidirectional marks. */
const AWKWARD =
  // eslint-disable-next-line no-control-regex
  /["'\\\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/u;
const IDENTIFIER = /^[\p{XIDS}_]\p{XIDC}*$/u;

/** The kernel's description of the object after a name. */
export interface IDescription {
  module?: string | null;
  columns?: [label: string, type: string][] | null;
  /** whether these are all of its columns */
  all?: boolean;
  /** null: it may compute others */
  attributes?: string[] | null;
}

/** The kernel context after the last execution. */
export interface IKernelContext {
  names: Record<string, IDescription>;
}

type Names = ReadonlyMap<string, ReadonlySet<string>>;

/** The columns and attributes that exist at a position, by the name of the object. */
export interface IScope {
  columns: Names;
  attributes: Names;
}

/** Return the scope without names that a cell that has not been executed may rebind. */
export function scopeOf(request: IRequest, facts: IKernelContext): IScope {
  const facing = Object.entries(facts.names);
  const changing = new Set(
    request.cells
      .filter((cell, at) => facing.length > 0 && cell.type === 'code' && at !== request.active)
      .filter(cell => cell.executed !== true)
      .flatMap(cell => [...bindings(cell.source)])
  );
  const sure = facing.filter(([name]) => !changing.has(name));
  const labels = (fact: IDescription) => (fact.columns ?? []).map(([label]) => label);
  return {
    columns: new Map(
      sure
        .filter(([, fact]) => fact.all && labels(fact).length > 0)
        .map(([name, fact]) => [name, new Set(labels(fact))])
    ),
    attributes: new Map(
      sure.flatMap(([name, fact]) => {
        // A table's columns are its attributes, too, but not in polars.
        const columns = (fact.module ?? '').startsWith('polars') ? [] : labels(fact);
        return fact.attributes ? [[name, new Set([...fact.attributes, ...columns])]] : [];
      })
    )
  };
}

/** Return the possible continuations of the column or attribute that is being typed, if they are known. */
export function namesAt(request: IRequest, scope: IScope): string[] {
  const prefix = prefixOf(request);
  const line = lastLine(prefix);
  if (isLonger(line, LINE)) {
    return [];
  }
  const column = COLUMN.exec(line);
  const typed = column ?? ATTRIBUTE.exec(line);
  const { base = '', begun = '', quote = '' } = typed?.groups ?? {};
  if (!typed || bindings(prefix).has(base)) {
    return [];
  }
  if (column && !begun && isBlank(line.slice(0, column.index)) && !strip(suffixOf(request), `${quote}]`)) {
    return []; // a new column may be about to be assigned
  }
  const known = column
    ? Array.from(scope.columns.get(base) ?? []).filter(label => !AWKWARD.test(label))
    : Array.from(scope.attributes.get(base) ?? []).filter(isAttribute);
  if (!column && known.includes(begun)) {
    return []; // the name may be complete
  }
  return known
    .filter(name => name.startsWith(begun))
    .map(name => name.slice(begun.length) + quote)
    .sort(compare);
}

/** Whether a name can be written after a dot. */
function isAttribute(name: string): boolean {
  return IDENTIFIER.test(name) && !KEYWORDS.has(name) && name.normalize('NFKC') === name;
}

/** The names that a text may bind: rather too many than too few, as the text is not parsed. */
export const bindings = remembered(
  (source: string): ReadonlySet<string> =>
    // Python's parser normalizes names in the same way.
    new Set(boundIn(source.normalize('NFKC')).flatMap(names => findAll(NAME, names))),
  2 ** 20
);

function boundIn(source: string): string[] {
  const found: string[] = [];
  let at = 0;
  for (let words = matchFrom(WORDS, source, at); words; words = matchFrom(WORDS, source, at)) {
    let start = words.index;
    at = start + words[0].length;
    // Names before an `in`. What follows it may in turn be names before the next `in`.
    for (const separator of within(IN, source, start, at)) {
      if (separator > start) {
        found.push(source.slice(start, separator));
        const following = source.slice(separator + 2, at).search(NAME);
        start = following < 0 ? at : separator + 2 + following;
      }
    }
    if (start === at) {
      continue;
    }
    if (matchFrom(ASSIGNS, source, at)) {
      found.push(source.slice(start, at));
      continue;
    }
    for (const binder of within(BINDER, source, start, at)) {
      const after = matchFrom(BINDS_AFTER, source, binder);
      if (after) {
        found.push(after.slice(1).find(names => (names as string | undefined) !== undefined) ?? '');
        at = binder + after[0].length;
        break;
      }
    }
  }
  return found;
}

/** Match a pattern with the flag `g` or `y` from a position. */
function matchFrom(pattern: RegExp, source: string, from: number): RegExpExecArray | null {
  pattern.lastIndex = from;
  return pattern.exec(source);
}

/** The position of a match in a part of a text; lookbehind may use the character before it. */
function within(pattern: RegExp, source: string, start: number, end: number): number[] {
  const before = characterBefore(source, start);
  const part = before + source.slice(start, end);
  return Array.from(part.matchAll(pattern), found => start - before.length + found.index);
}
