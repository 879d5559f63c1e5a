/** Select the cells whose sources fit into a request. Pure. */

import { byteLength, wellFormed } from '../window';
import type { IFixCell } from '../wire';

/** The most cells and bytes that the server accepts; the rest of the body needs the difference to 1 MiB. */
export const MOST_CELLS = 4096;
export const MOST_BYTES = 896 * 1024;

/**
 * Keep the sources of code cells while they fit: first that of the cell `first`, then those above from the nearest to the
 * farthest, then those below. Other cells keep their position. Return null if not even the
 * first one fits. `further`: bytes of the request beside the cells.
 */
export function fitCells(cells: readonly IFixCell[], first: number, further = 0): IFixCell[] | null {
  const sent = cells.map((cell): IFixCell => ({ ...cell, source: null }));
  if (cells.length > MOST_CELLS) {
    return null;
  }
  let left = MOST_BYTES - further - byteLength(JSON.stringify(sent));
  const above = Array.from({ length: first + 1 }, (_, distance) => first - distance);
  const below = Array.from({ length: cells.length - first - 1 }, (_, distance) => first + 1 + distance);
  for (const index of [...above, ...below]) {
    const { type, source } = cells[index];
    const text = type === 'code' ? wellFormed(source ?? '') : null;
    const size = text === null ? 0 : byteLength(JSON.stringify(text));
    if (text !== null && size <= left) {
      left -= size;
      sent[index].source = text;
    }
  }
  return sent[first].source === null ? null : sent;
}
