/** Answers another process's requests like a web page: lines of JSON, the first of which names the model's file. */

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Composer } from '../../labextension/src/local/answer';
import { Engine } from '../../labextension/src/local/engine/engine';
import { write } from '../../labextension/src/local/engine/generation';
import type { IEngine } from '../../labextension/src/local/engineinterface';
import type { IRequest } from '../../labextension/src/wire';

interface IOpening {
  model: string;
  wasm: string;
}

let engine: IEngine | undefined;

async function answer(line: string): Promise<unknown> {
  if (!engine) {
    const { model, wasm } = JSON.parse(line) as IOpening;
    const loaded = Engine.load(readFileSync(model), new WebAssembly.Module(readFileSync(wasm)));
    const { contextSize, vocabulary } = loaded;
    const pause = () => Promise.resolve();
    engine = {
      contextSize,
      vocabulary,
      generate: async (ask, take, signal) => {
        for await (const token of write(loaded, ask, pause, signal)) {
          if (!take(token)) {
            return;
          }
        }
      }
    };
    return null;
  }
  const request = JSON.parse(line) as IRequest;
  const begun = performance.now();
  const composer = new Composer(request, engine);
  const items = await composer.write('', { text: '' }, new AbortController().signal, () => undefined);
  return { shown: items[0]?.text ?? '', ms: performance.now() - begun };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
