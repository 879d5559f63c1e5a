/** Read the error of a failed cell, without terminal colors and HTML, cut to the limits of a request. Pure. */

import type { PartialJSONObject } from '@lumino/coreutils';
import { byteLength, wellFormed } from '../window';
import type { IErrorOutput } from '../wire';

/** The limits of the server: characters of a field or line, number of lines, bytes of all lines. */
const NAME = 512;
const MESSAGE = 8192;
const MAX_LINE_LENGTH = 4096;
const MAX_LINES = 2048;
const BYTES = 64 * 1024;

// eslint-disable-next-line no-control-regex
const ANSI = /\x1b\[[0-?]*[ -/]*[@-~]/g;
/** Some kernels send HTML. `<module>` and `<ipython-input-3>` are no tags. */
const IS_HTML = /^\s*<(?:div|pre|span|p)\b[^<>]*>/;
const TAG = /<\/?(?:a|b|br|code|div|font|i|p|pre|span)\b[^<>]*>/g;
const ENTITIES: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&amp;': '&'
};

/** Return the error of a request; null without the name of an exception, as of a cell that was not run. */
export function readError({ ename, evalue, traceback }: PartialJSONObject): IErrorOutput | null {
  if (typeof ename !== 'string' || !ename) {
    return null;
  }
  const entries = Array.isArray(traceback) ? traceback.filter(entry => typeof entry === 'string') : [];
  const isHtml = IS_HTML.test(entries[0] ?? '');
  const lines = entries.flatMap(entry => entry.split('\n'));
  // A long one is cut first: cleaning takes longer.
  const kept =
    lines.length > MAX_LINES
      ? [...lines.slice(0, MAX_LINES / 4), ...lines.slice((-3 * MAX_LINES) / 4)]
      : lines;
  return {
    name: cut(ename, NAME),
    message: plain(typeof evalue === 'string' ? evalue : '', MESSAGE, false),
    traceback: ends(kept.map(line => plain(line, MAX_LINE_LENGTH, isHtml)))
  };
}

function plain(text: string, limit: number, isHtml: boolean): string {
  const uncolored = text.slice(0, 2 * limit).replace(ANSI, '');
  return cut(
    isHtml
      ? uncolored.replace(TAG, '').replace(/&(?:lt|gt|quot|#39|amp);/g, entity => ENTITIES[entity])
      : uncolored,
    limit
  );
}

function cut(text: string, limit: number): string {
  return wellFormed(text.slice(0, limit));
}

/** Keep the first and the last lines: the cell's own frame and the error. */
function ends(lines: string[]): string[] {
  const first = fitting(lines, BYTES / 4);
  const last = fitting(lines.slice(first.length).reverse(), (3 * BYTES) / 4);
  return [...first, ...last.reverse()];
}

function fitting(lines: readonly string[], bytes: number): string[] {
  let room = bytes;
  const end = lines.findIndex(line => (room -= byteLength(line) + 1) < 0);
  return end < 0 ? [...lines] : lines.slice(0, end);
}
