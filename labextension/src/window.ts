/** Select the cells of a request: the active cell and the nearest others, up to a size limit. Pure. */

import type { ICell, IRequest } from './wire';

export const CELL_LIMIT = 16 * 1024;
export const TOTAL_LIMIT = 256 * 1024;
const ACTIVE_LIMIT = 96 * 1024;

/** Count code points, as the server does. */
export function codePoints(text: string): number {
  return text.length - (text.match(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)?.length ?? 0);
}

/** Replace lone surrogates, which UTF-8 cannot encode. */
export function wellFormed(text: string): string {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD');
}

function splitsPair(text: string, at: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(at - 1, at + 1));
}

function clip(text: string, from: number, to: number): string {
  const start = from > 0 && splitsPair(text, from) ? from + 1 : from;
  const end = to < text.length && splitsPair(text, to) ? to - 1 : to;
  return text.slice(start, end);
}

/**
 * Select the cells. `jsOffset`: the cursor in the active cell, in UTF-16 units; the returned offset is in code points.
 */
export function chooseWindow(
  count: number,
  cellAt: (index: number) => ICell,
  active: number,
  jsOffset: number
): Pick<IRequest, 'cells' | 'active' | 'offset'> {
  const own = cellAt(active);
  const from = Math.max(0, jsOffset - ACTIVE_LIMIT / 2);
  const to = Math.min(own.source.length, jsOffset + ACTIVE_LIMIT / 2);
  const before = wellFormed(clip(own.source, from, jsOffset));
  const after = wellFormed(clip(own.source, jsOffset, to));
  let room = TOTAL_LIMIT - before.length - after.length;
  const above: ICell[] = [];
  const below: ICell[] = [];
  // Nearest first, above before below: these are the most relevant.
  for (let distance = 1; distance < count && room > 0; distance++) {
    for (const [index, list] of [
      [active - distance, above],
      [active + distance, below]
    ] as [number, ICell[]][]) {
      const cell = index >= 0 && index < count ? cellAt(index) : null;
      if (!cell?.source.trim()) {
        continue;
      }
      // The limit is in bytes, and a UTF-16 unit may take three.
      if (cell.source.length > CELL_LIMIT / 3) {
        cell.source = fitBytes(cell.source, CELL_LIMIT, list === above);
      }
      cell.source = wellFormed(cell.source);
      room -= byteLength(cell.source) + 64;
      if (room > 0) {
        list.push(cell);
      }
    }
  }
  above.reverse();
  return {
    cells: [...above, { ...own, source: before + after }, ...below],
    active: above.length,
    offset: codePoints(before)
  };
}

const encoder = new TextEncoder();

export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** Cut a text to a number of bytes, keeping its end or its beginning. */
export function fitBytes(text: string, limit: number, end: boolean): string {
  let length = Math.min(text.length, limit);
  for (;;) {
    const kept = end ? clip(text, text.length - length, text.length) : clip(text, 0, length);
    const bytes = byteLength(kept);
    if (bytes <= limit) {
      return kept;
    }
    length = Math.floor((length * limit) / bytes) - 1;
  }
}
