/** One JSON object a line, as the bytes come in. Pure. */

export interface IReader {
  read(): Promise<{ done: boolean; value?: Uint8Array }>;
}

/** Iterate over the objects; a last line that was cut off is left out. */
export async function* parseLines<T>(reader: IReader): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let held = '';
  for (;;) {
    const { done, value } = await reader.read();
    held += value ? decoder.decode(value, { stream: true }) : '';
    const lines = held.split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim()) {
        yield JSON.parse(line) as T;
      }
    }
    if (done) {
      return;
    }
  }
}
