/** Reads what a kernel told of its names: columns, attributes; never values. Pure. */

import type { IFact, IFacts } from './names';

const LONGEST = 512;

/** Read what a kernel sent; anything that is not as our probe sends it counts as no facts. */
export function readFacts(data: unknown): IFacts | null {
  const { names } = (data ?? {}) as { names?: unknown };
  if (typeof names !== 'object' || names === null) {
    return null;
  }
  const facts = Object.entries(names as Record<string, unknown>);
  return facts.every(([name, fact]) => isWord(name) && isFact(fact))
    ? { names: names as IFacts['names'] }
    : null;
}

function isFact(value: unknown): value is IFact {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const { module, columns, attributes } = value as Record<keyof IFact, unknown>;
  return (
    (module == null || isWord(module)) &&
    (columns == null || isList(columns, isColumn)) &&
    (attributes == null || isList(attributes, isWord))
  );
}

function isWord(value: unknown): boolean {
  return typeof value === 'string' && value.length <= LONGEST;
}

function isColumn(value: unknown): boolean {
  return isList(value, isWord) && (value as unknown[]).length === 2;
}

function isList(value: unknown, each: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(each);
}
