/** Answers another process's requests like a web page: lines of JSON, the first of which names the model. */

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Composer, DEFAULTS, newProgress } from '../../labextension/src/local/answer';
import { Engine } from '../../labextension/src/local/engine/engine';
import { Layout } from '../../labextension/src/local/layout';
import { characterModel } from '../../labextension/src/local/models';
import type { IEngine } from '../../labextension/src/local/engineinterface';
import type { IRequest } from '../../labextension/src/wire';

interface IOpening {
  name: string;
  model: string;
  wasm: string;
}

let engine: IEngine | undefined;
let layout: Layout;

async function answer(line: string): Promise<unknown> {
  if (!engine) {
    const { name, model, wasm } = JSON.parse(line) as IOpening;
    const loaded = Engine.load(readFileSync(model), new WebAssembly.Module(readFileSync(wasm)));
    engine = characterModel(name, loaded, () => Promise.resolve());
    layout = new Layout(engine.vocabulary, engine.contextSize, DEFAULTS);
    return null;
  }
  const request = JSON.parse(line) as IRequest;
  const begun = performance.now();
  const progress = newProgress();
  const composer = new Composer(request, engine, layout, DEFAULTS);
  const writing = composer.write('', progress, new AbortController().signal);
  let step = await writing.next();
  while (!step.done) {
    step = await writing.next();
  }
  return { shown: step.value[0]?.text ?? '', ms: performance.now() - begun };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
