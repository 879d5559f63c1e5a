/** Cut texts to a budget of tokens, in steps, so that a prompt's beginning seldom changes. Pure. */

import { codePoints, first, without } from './text';

/** Settings count tokens of about three characters, of which each is a token of its own here. */
export const CHARACTERS = 3;
/** Characters: a token has fewer. Text beyond that cannot fit, so it is not tokenized. */
export const WIDEST = 64;

/** How many to leave out at the start so that the rest fits: in steps of a quarter of the room. */
function excess(length: number, room: number): number {
  if (length <= room) {
    return 0;
  }
  const step = Math.max(1, Math.floor(room / 4));
  return room > 0 ? Math.ceil((length - room) / step) * step : length;
}

/** Keep the end of a text. If its start moved with every character, nothing that was read could be used again. */
export function keepTail(text: string, room: number): string {
  return text.length <= room ? text : without(text, excess(codePoints(text), room));
}

/** Keep the end of tokens. */
export function keepLast(tokens: readonly number[], room: number): readonly number[] {
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
 * How many pieces, from the furthest on, to leave out so that the others and `near` tokens fit.
 *
 * They are left out in steps of a quarter of the room; one quarter is kept free for an outline of what was left out.
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
