/** The layout of a suggestion's prompt, the same as the server's: texts are cut to a budget in steps. */

import type { IRequest } from '../wire';
import { remembered } from './bounds';
import type { IVocabulary } from './engineinterface';
import { type IContext, outline } from './notebook';
import { chosen } from './ranking';
import { codePoints, first, without } from './text';

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
    const near = this._vocabulary.tokenize(keepTail(context.prefix, WIDEST * before));
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

/** Keep the end of a text. If its start moved with every character, the KV cache could not be reused. */
export function keepTail(text: string, room: number): string {
  return text.length <= room ? text : without(text, excess(codePoints(text), room));
}

/** Keep the end of tokens. */
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
