/** The layout of a suggestion's prompt: texts are cut to a budget in steps. The server also describes omitted cells. */

import type { IVocabulary } from './engineinterface';
import type { IContext } from './notebook';
import { codePoints, endOf, first } from './text';

/** Settings count tokens of about three characters; the model's tokens are characters. */
export const CHARACTERS = 3;

/** Lengths in tokens of about three characters. */
export interface IBudget {
  promptTokens: number;
  suffixTokens: number;
  maxTokens: number;
}

/** Return the tokens of a prompt. */
export function promptOf(
  vocabulary: IVocabulary,
  contextSize: number,
  { promptTokens, suffixTokens, maxTokens }: IBudget,
  { pieces, prefix, suffix }: IContext
): number[] {
  const { marks } = vocabulary;
  // The markers and at least one token of the answer must fit as well.
  const most = contextSize - 8;
  const after = Math.min(suffixTokens * CHARACTERS, Math.floor(most / 4));
  const answer = Math.min(maxTokens * CHARACTERS, Math.floor(most / 2));
  const before = Math.max(1, Math.min(promptTokens * CHARACTERS, most - after - answer));
  const omitted = piecesLeftOut(pieces.map(codePoints), codePoints(prefix), before);
  // A character model cannot continue a word whose start is far away in the prompt. So the text of the cell follows the
  // middle marker, and typing extends the end of the prompt.
  return [
    marks.prefix,
    ...pieces.slice(omitted).flatMap(piece => vocabulary.tokenize(piece)),
    marks.suffix,
    ...vocabulary.tokenize(first(suffix, after)),
    marks.middle,
    ...vocabulary.tokenize(endOf(prefix, before))
  ];
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
