/** Select snippets: those that define used names first, then the most similar. Pure. */

import { remembered } from './bounds';
import { findAll, LETTER, START, WORD } from './text';

const NAME = new RegExp(`[${LETTER}][${WORD}]{2,}`, 'gu');
const DEFINING = new RegExp(
  `${START}(?:async def|def|class|function|const|let|var) +([${WORD}]+)` +
    `|${START}([${WORD}]+) *(?:=(?!=)|<-)` +
    `|${START}(?:import|from) ([^\\n]*)`,
  'gu'
);
const DEFINES = 2; // weight of a name that a snippet defines, relative to one it only uses

const labelOf = remembered((text: string): ReadonlySet<string> => new Set(findAll(NAME, text)), 2 ** 19);

function definedIn(text: string): Set<string> {
  const groups = Array.from(text.matchAll(DEFINING), ([, ...found]) => found as (string | undefined)[]);
  return new Set(groups.flat().flatMap(group => findAll(NAME, group ?? '')));
}

/** The relevance of each snippet to a text; rare words count more. */
export function scores(snippets: readonly string[], near: string): number[] {
  const used = labelOf(near);
  const often = new Map<string, number>();
  for (const word of snippets.flatMap(snippet => [...labelOf(snippet)])) {
    often.set(word, (often.get(word) ?? 0) + 1);
  }
  const rarity = (words: Iterable<string>) =>
    Array.from(words, word => (used.has(word) ? 1 / (often.get(word) ?? 1) : 0))
      .sort((one, other) => one - other)
      .reduce((total, value) => total + value, 0);
  return snippets.map(snippet => {
    const words = labelOf(snippet);
    return (rarity(words) + DEFINES * rarity(definedIn(snippet))) / Math.sqrt(1 + words.size);
  });
}

/** The most relevant snippets that fit, in their original order. */
export function chosen(
  snippets: readonly string[],
  near: string,
  room: number,
  size: (snippet: string) => number
): string[] {
  const relevance = scores(snippets, near);
  // Of two that are equally relevant the later one, which is more likely to be up to date.
  const order = [...snippets.keys()].sort((one, other) => relevance[other] - relevance[one] || other - one);
  const taken: number[] = [];
  let left = room;
  for (const at of order) {
    const cost = relevance[at] > 0 ? size(snippets[at]) : Infinity;
    if (cost <= left) {
      left -= cost;
      taken.push(at);
    }
  }
  return taken.sort((one, other) => one - other).map(at => snippets[at]);
}
