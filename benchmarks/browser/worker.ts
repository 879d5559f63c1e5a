/** Our engine in a worker, as the extension runs it; answers when it has written, and how often it is asked. */

import { Engine } from '../../labextension/src/local/engine/engine';
import { write } from '../../labextension/src/local/engine/generation';
import { newUsage } from '../../labextension/src/local/engineinterface';
import { pauses } from '../../labextension/src/local/engine/pause';

interface IMessage {
  id: number;
  kind: 'load' | 'write' | 'abort' | 'follow' | 'logits';
  wasm?: ArrayBuffer;
  model?: ArrayBuffer;
  text?: string;
  most?: number;
  ids?: number[];
  count?: number;
}

const pause = pauses();
let engine: Engine;
let controller = new AbortController();

async function answer({
  kind,
  wasm,
  model,
  text = '',
  most = 0,
  ids = [],
  count = 0
}: IMessage): Promise<unknown> {
  if (kind === 'load') {
    engine = Engine.load(new Uint8Array(model as ArrayBuffer), new WebAssembly.Module(wasm as ArrayBuffer));
    // So many characters are to be written, whatever the model would end with.
    (engine.vocabulary.ends as Set<number>).clear();
    return null;
  }
  if (kind === 'logits') {
    while (engine.read(ids)) {
      // The next batch.
    }
    return Array.from(engine.logits());
  }
  if (kind === 'follow') {
    // What is likeliest behind each of the last `count` tokens.
    return Array.from({ length: count }, (_, at) => {
      const part = ids.slice(0, ids.length - count + at + 1);
      while (engine.read(part)) {
        // The next batch.
      }
      const row = engine.logits();
      return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    });
  }
  controller = new AbortController();
  const ask = {
    prompt: engine.vocabulary.tokenize(text),
    draft: [],
    sampling: { maxTokens: most, ways: [], banned: null },
    usage: newUsage()
  };
  const { signal } = controller;
  const writing = write(engine, ask, pause, signal);
  let written = 0;
  try {
    while (!(await writing.next()).done) {
      written++;
    }
  } catch (reason) {
    if (!signal.aborted) {
      throw reason;
    }
  }
  return written;
}

onmessage = ({ data }: MessageEvent<IMessage>) => {
  if (data.kind === 'abort') {
    controller.abort();
    return;
  }
  answer(data).then(
    value => postMessage({ id: data.id, value }),
    (error: unknown) => postMessage({ id: data.id, error: String(error) })
  );
};
