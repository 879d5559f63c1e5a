/** The layout of a suggestion's prompt, the same as the server's: texts are cut to a budget in steps. */

import type { IRequest } from '../wire';
import { endOf, remembered } from './bounds';
import type { IVocabulary } from './engineinterface';
import { type IContext, outline } from './notebook';
import { findAll, first, LETTER, START, WORD } from './text';

/** Settings count tokens of about three characters; the model's tokens are characters. */
export const CHARACTERS = 3;
/** The maximum number of characters per token. Longer text cannot fit, so it is not tokenized. */
const WIDEST = 64;
const PIECES_REMEMBERED = 2 ** 20; // characters of cells
const PIECES_SHARE = 8; // 1/8 of the budget for the outline of omitted pieces, 1/8 for the best of them

/** Lengths in tokens of about three characters. */
export interface IBudget {
  promptTokens: number;
  suffixTokens: number;
  maxTokens: number;
}

/** Builds prompts for a model, and caches the tokens of cells, because those above seldom change. */
export class Layout {
  constructor(
    private readonly _vocabulary: IVocabulary,
    private readonly _contextSize: number,
    private readonly _budget: IBudget
  ) {
    this._tokenize = remembered(text => _vocabulary.tokenize(text), PIECES_REMEMBERED);
  }

  prompt(request: Pick<IRequest, 'max_tokens'>, context: IContext): number[] {
    const { marks } = this._vocabulary;
    const { promptTokens, suffixTokens, maxTokens } = this._budget;
    // The markers and at least one token of the answer must fit as well.
    const most = this._contextSize - 8;
    const after = Math.min(suffixTokens * CHARACTERS, Math.floor(most / 4));
    const answer = Math.min((request.max_tokens ?? maxTokens) * CHARACTERS, Math.floor(most / 2));
    const before = Math.max(1, Math.min(promptTokens * CHARACTERS, most - after - answer));
    const near = this._vocabulary.tokenize(endOf(context.prefix, WIDEST * before));
    const kept = keepLast([...this._pieces(context.pieces, near.length, before), ...near], before);
    const suffix = readHead(text => this._vocabulary.tokenize(text), context.suffix, after);
    // A character model cannot continue a word whose start is far away in the prompt. So the text of the cell follows the
    // middle marker, and typing extends the end of the prompt.
    const begun = Math.max(0, kept.length - near.length);
    return [
      marks.prefix,
      ...kept.slice(0, begun),
      marks.suffix,
      ...suffix,
      marks.middle,
      ...kept.slice(begun)
    ];
  }

  /** The tokens of the pieces that fit, after the best of those that do not. */
  private _pieces(pieces: readonly string[], near: number, room: number): number[] {
    const tokens = pieces.map(piece => this._tokenize(piece));
    const sizes = tokens.map(piece => piece.length);
    const gone = piecesLeftOut(sizes, near, room);
    const share = Math.floor(room / PIECES_SHARE);
    const left = gone > 0 ? this._best(pieces.slice(0, gone), pieces.slice(gone).join(''), share) : [];
    return [...left, ...tokens.slice(gone)].flat();
  }

  /** The kept parts of pieces that do not fit: an outline, and those most relevant to the rest. */
  private _best(pieces: readonly string[], kept: string, share: number): number[][] {
    const about = [kept, share, ...pieces];
    // Typing does not change it.
    if (about.length !== this._about.length || about.some((part, at) => part !== this._about[at])) {
      const best = chosen(pieces, kept, share, piece => this._tokenize(piece).length);
      this._about = about;
      this._found = [
        this._tokenize(outline(pieces)).slice(0, share),
        ...best.map(piece => this._tokenize(piece))
      ];
    }
    return this._found;
  }

  private readonly _tokenize: (text: string) => number[];
  private _about: (string | number)[] = [];
  private _found: number[][] = [];
}

/** The number to omit at the start so that the rest fits, in steps of a quarter of the budget. */
function excess(length: number, room: number): number {
  if (length <= room) {
    return 0;
  }
  const step = Math.max(1, Math.floor(room / 4));
  return room > 0 ? Math.ceil((length - room) / step) * step : length;
}

/** Keep the end of tokens. If its start moved with every token, the KV cache could not be reused. */
function keepLast(tokens: readonly number[], room: number): readonly number[] {
  return tokens.slice(excess(tokens.length, room));
}

/** The first tokens of a text, as many as fit. */
export function readHead(
  tokenize: (text: string) => readonly number[],
  text: string,
  room: number
): number[] {
  const most = Math.max(0, room);
  return tokenize(first(text, WIDEST * most)).slice(0, most);
}

/**
 * Return how many pieces, from the furthest on, to omit so that the others and `near` tokens fit.
 *
 * They are omitted in steps of a quarter of the budget; one quarter is reserved for an outline of the omitted pieces.
 */
export function piecesLeftOut(sizes: readonly number[], near: number, room: number): number {
  const over = sizes.reduce((total, size) => total + size, near) - room;
  if (over <= 0) {
    return 0;
  }
  const quarter = Math.floor(room / 4);
  const step = Math.max(1, quarter);
  const wanted = Math.ceil((over + quarter) / step) * step;
  let gone = 0;
  const kept = sizes.findIndex(size => {
    const enough = gone >= wanted;
    gone += size;
    return enough;
  });
  return kept < 0 ? sizes.length : kept;
}

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
