/** Replacements of text in a cell: applied, moved by other edits, and shown as changed lines. Pure. */

import { Text } from '@jupyterlab/coreutils';
import type { IStep } from '../collaboration';
import { first } from '../local/text';
import type { IEdit } from '../wire';

/** A replacement; the positions are in UTF-16 units. */
export interface IReplacement {
  start: number;
  end: number;
  old: string;
  text: string;
}

/** A part of a line. */
export interface ISegment {
  text: string;
  /** whether it is removed or added */
  changed: boolean;
}

/** Changed lines. */
export interface IHunk {
  before: ISegment[][];
  after: ISegment[][];
}

/** Convert an edit in code points; null if the text at its position differs. */
export function replacementOf(source: string, { start, end, old, text }: IEdit): IReplacement | null {
  const from = Text.charIndexToJsIndex(start, source);
  const to = Text.charIndexToJsIndex(end, source);
  return source.slice(from, to) === old ? { start: from, end: to, old, text } : null;
}

/** Return whether a source still has the text that is replaced. */
export function isCurrent(source: string, { start, end, old }: IReplacement): boolean {
  return source.slice(start, end) === old;
}

/** A part of a source; the positions are in UTF-16 units. */
export type IRange = Pick<IReplacement, 'start' | 'end'>;

/** Move a range along with an edit of the cell; null if the edit touches its text. Lines inserted around it do not. */
export function moved<T extends IRange>(range: T, steps: readonly IStep[]): T | null {
  let { start, end } = range;
  let at = 0;
  for (const { retain = 0, insert: text = '', delete: deleted = 0 } of steps) {
    const inserted = text.length;
    const first = text.endsWith('\n') ? start + 1 : start;
    const last = text.startsWith('\n') ? end - 1 : end;
    if (inserted + deleted > 0 && at + deleted >= first && at <= last) {
      return null;
    }
    const shift = at < first ? inserted - deleted : 0;
    start += shift;
    end += shift;
    at += retain + inserted;
  }
  return { ...range, start, end };
}

/** Return the first line of a source that is not empty, with up to `most` characters; `…` stands for all that follows. */
export function firstLine(source: string, most: number): string {
  const text = source.trim();
  const [line] = text.split('\n', 1);
  const shown = first(line, most).trimEnd();
  return shown === text ? shown : `${shown} …`;
}

/** Return a position adjusted for replacements. */
export function movedPosition(position: number, replacements: readonly IReplacement[]): number {
  return replacements
    .filter(({ start }) => start < position)
    .reduce((moved, { old, text }) => moved + text.length - old.length, position);
}

/** Return the lines that replacements change. */
export function changedLines(source: string, replacements: readonly IReplacement[]): IHunk[] {
  const hunks: IReplacement[][] = [];
  for (const replacement of [...replacements].sort((one, other) => one.start - other.start)) {
    const group = hunks.at(-1);
    if (group && endOfLine(source, group.at(-1)?.end ?? 0) >= replacement.start) {
      group.push(replacement);
    } else {
      hunks.push([replacement]);
    }
  }
  return hunks.map(group => hunkOf(source, group));
}

function hunkOf(source: string, group: readonly IReplacement[]): IHunk {
  const [{ start, text, old }] = group;
  const from = source.slice(0, start).lastIndexOf('\n') + 1;
  if (group.length === 1 && from === start && !old && text.endsWith('\n')) {
    return { before: [], after: lines([{ text: text.slice(0, -1), changed: true }]) };
  }
  const before: ISegment[] = [];
  const after: ISegment[] = [];
  let at = from;
  const keep = (end: number): void => {
    const kept = { text: source.slice(at, end), changed: false };
    before.push(kept);
    after.push(kept);
  };
  for (const { start, end, old, text } of group) {
    const kept = keptLength(old, text);
    keep(start + kept);
    before.push({ text: old.slice(kept), changed: true });
    after.push({ text: text.slice(kept), changed: true });
    at = end;
  }
  keep(endOfLine(source, at));
  return { before: lines(before), after: lines(after) };
}

/** Return the length of the shorter text if the longer one only has more behind it, which does not continue a word. */
function keptLength(old: string, text: string): number {
  const [shorter, longer] = old.length < text.length ? [old, text] : [text, old];
  const isContinued = /^[\p{L}\p{N}_]/u.test(longer.slice(shorter.length));
  return longer.startsWith(shorter) && !isContinued ? shorter.length : 0;
}

/** Split segments at line ends, and omit empty ones. */
function lines(segments: readonly ISegment[]): ISegment[][] {
  const found: ISegment[][] = [[]];
  for (const { text, changed } of segments) {
    text.split('\n').forEach((part, index) => {
      if (index > 0) {
        found.push([]);
      }
      if (part) {
        found.at(-1)?.push({ text: part, changed });
      }
    });
  }
  return found;
}

/** Return the lines that contain a range. */
export function linesAround(source: string, { start, end }: IRange): string {
  return source.slice(source.slice(0, start).lastIndexOf('\n') + 1, endOfLine(source, end));
}

export function endOfLine(source: string, at: number): number {
  const end = source.indexOf('\n', at);
  return end < 0 ? source.length : end;
}
