/** The layout of a suggestion's prompt: texts are cut to a budget in steps. The server also describes omitted cells. */

import type { IRequest } from '../wire';
import { endOf, remembered } from './bounds';
import type { IVocabulary } from './engineinterface';
import type { IContext } from './notebook';
import { first } from './text';

/** Settings count tokens of about three characters; the model's tokens are characters. */
export const CHARACTERS = 3;
/** The maximum number of characters per token. Longer text cannot fit, so it is not tokenized. */
const WIDEST = 64;
const PIECES_REMEMBERED = 2 ** 20; // characters of cells

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

  /** The tokens of the pieces that fit. */
  private _pieces(pieces: readonly string[], near: number, room: number): number[] {
    const tokens = pieces.map(piece => this._tokenize(piece));
    const sizes = tokens.map(piece => piece.length);
    return tokens.slice(piecesLeftOut(sizes, near, room)).flat();
  }

  private readonly _tokenize: (text: string) => number[];
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
 * They are omitted in steps of a quarter of the budget, and another quarter as on the server, so that the start of the
 * prompt seldom moves.
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
