/** One JSON object a line, as the bytes come in. Pure. */

import { AnswerError } from './trouble';

/** No line of ours is nearly as long. */
export const LONGEST_LINE = 1024 * 1024;

export interface IReader {
  read(): Promise<{ done: boolean; value?: Uint8Array }>;
}

/** Iterate over the objects; a last line that was cut off is left out. */
export async function* parseLines<T extends object>(reader: IReader): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let held = '';
  for (;;) {
    const { done, value } = await reader.read();
    held += value ? decoder.decode(value, { stream: true }) : '';
    const lines = held.split('\n');
    held = lines.pop() ?? '';
    if (held.length > LONGEST_LINE) {
      throw new AnswerError('garbled');
    }
    for (const line of lines) {
      if (line.trim()) {
        yield parse<T>(line);
      }
    }
    if (done) {
      return;
    }
  }
}

function parse<T extends object>(line: string): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new AnswerError('garbled');
  }
  if (typeof value !== 'object' || value === null) {
    throw new AnswerError('garbled');
  }
  return value as T;
}
